/** Burns CPU in one method; the SDK is loaded beside it, as a -javaagent, and is configured by its environment. */
public final class Hot {
    static int hot(long end) {
        int count = 0;
        while (System.nanoTime() < end) {
            for (int step = 0; step < 1_000_000; step++) {
                count = count * 31 ^ step;
            }
        }
        return count;
    }

    static volatile byte[] kept;

    /** Gives the profiles of locks and memory something to show. */
    static void waits() {
        while (true) {
            synchronized (Hot.class) {
                for (int n = 0; n < 10; n++) {
                    kept = new byte[100_000];
                }
                try {
                    Thread.sleep(20);
                } catch (InterruptedException stopped) {
                    return;
                }
            }
        }
    }

    public static void main(String[] arguments) {
        long seconds = Long.parseLong(System.getenv("SECONDS_LONG"));
        for (int n = 0; n < 2; n++) {
            Thread thread = new Thread(Hot::waits);
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println(hot(System.nanoTime() + seconds * 1_000_000_000L));
    }
}
