package com.acme.search;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Products made up from a small vocabulary; the same ones at every start. */
final class Catalog {
    static final List<String> ADJECTIVES =
            List.of("light", "red", "blue", "warm", "soft", "classic", "slim", "wide", "dark", "fresh", "solid", "quiet");
    static final List<String> NOUNS =
            List.of("shoe", "jacket", "lamp", "chair", "bottle", "backpack", "table", "shirt", "watch", "knife", "tent", "bike");
    private static final int DESCRIPTION_WORDS = 40;

    private Catalog() {}

    static List<Product> generate(int count) {
        Random random = new Random(42);
        List<Product> products = new ArrayList<>(count);
        for (int id = 0; id < count; id++) {
            String title = pick(ADJECTIVES, random) + " " + pick(ADJECTIVES, random) + " " + pick(NOUNS, random);
            StringBuilder description = new StringBuilder();
            for (int word = 0; word < DESCRIPTION_WORDS; word++) {
                description.append(pick(random.nextInt(3) == 0 ? NOUNS : ADJECTIVES, random)).append(' ');
            }
            products.add(new Product(id, title, description.toString()));
        }
        return products;
    }

    static String pick(List<String> words, Random random) {
        return words.get(random.nextInt(words.size()));
    }
}
