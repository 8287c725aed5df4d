/** What the recording java.jfr.gz was made from: two methods that burn CPU, one of them through a caller. */
public class Checkout {
    static volatile long sink;

    static void price(long rounds) {
        for (long i = 0; i < rounds; i++) sink += i * 31;
    }

    static void tax(long rounds) {
        for (long i = 0; i < rounds; i++) sink ^= i * 17;
    }

    static void order(long rounds) {
        price(rounds);
        tax(rounds / 2);
    }

    public static void main(String[] arguments) {
        long end = System.nanoTime() + 1_500_000_000L;
        while (System.nanoTime() < end) order(2_000_000);
    }
}
