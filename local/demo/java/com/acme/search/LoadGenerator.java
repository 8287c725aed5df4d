package com.acme.search;

import java.util.Random;

/** Searches until it is interrupted, so that a service without visitors has profiles too. */
final class LoadGenerator extends Thread {
    private static final long INTERVAL_NANOS = 100_000_000;
    /** The pause is this many times the work before it, so the load stays near 3 % of a core on any machine. */
    private static final long REST_PER_WORK = 30;

    private final ProductIndex index;
    private final Random random = new Random();

    LoadGenerator(ProductIndex index) {
        super("load");
        this.index = index;
        setDaemon(true);
    }

    @Override
    public void run() {
        try {
            while (!isInterrupted()) {
                long start = System.nanoTime();
                index.search(Catalog.pick(Catalog.ADJECTIVES, random) + " " + Catalog.pick(Catalog.NOUNS, random), 10);
                long rest = Math.max(INTERVAL_NANOS, REST_PER_WORK * (System.nanoTime() - start));
                Thread.sleep(rest / 1_000_000, (int) (rest % 1_000_000));
            }
        } catch (InterruptedException e) {
            interrupt();
        }
    }
}
