// Burns CPU time in two functions, in turn, and says how much in each.
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.function.IntConsumer;

public class Busy {
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    static long sum;

    static void heavy(int n) {
        for (int i = 0; i < n; i++)
            sum += (long) i * i % 1000003;
    }

    static void light(int n) {
        for (int i = 0; i < n; i++)
            sum ^= (long) i << i % 7;
    }

    static long burn(IntConsumer work, long nanoseconds) {
        long start = THREADS.getCurrentThreadCpuTime(), spent;
        do {
            work.accept(1 << 18);
            spent = THREADS.getCurrentThreadCpuTime() - start;
        } while (spent < nanoseconds);
        return spent;
    }

    public static void main(String[] arguments) {
        long inHeavy = 0, inLight = 0, wanted = Long.parseLong(arguments[0]) * 1_000_000_000L;
        while (inHeavy + inLight < wanted) {
            inHeavy += burn(Busy::heavy, 70_000_000L);
            inLight += burn(Busy::light, 30_000_000L);
        }
        System.out.printf("{\"heavy\": %d, \"light\": %d}%n", inHeavy, inLight);
    }
}
