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

    public static void main(String[] arguments) {
        long seconds = Long.parseLong(System.getenv("SECONDS_LONG"));
        System.out.println(hot(System.nanoTime() + seconds * 1_000_000_000L));
    }
}
