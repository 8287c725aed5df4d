package com.acme.search;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** An inverted index in memory, ranked by BM25. Read-only once built. */
final class ProductIndex {
    private static final double K1 = 1.2; // how soon more of the same word stops to count
    private static final double B = 0.75; // how much long texts are held back

    private record Posting(int product, int count) {}

    private final List<Product> products;
    private final Map<String, List<Posting>> postings = new HashMap<>();
    private final int[] lengths;
    private final double averageLength;

    private ProductIndex(List<Product> products) {
        this.products = products;
        this.lengths = new int[products.size()];
        long words = 0;
        for (Product product : products) {
            Map<String, Integer> counts = new HashMap<>();
            for (String word : tokenize(product.title() + " " + product.description())) {
                counts.merge(word, 1, Integer::sum);
                lengths[product.id()]++;
            }
            words += lengths[product.id()];
            counts.forEach((word, count) ->
                    postings.computeIfAbsent(word, w -> new ArrayList<>()).add(new Posting(product.id(), count)));
        }
        this.averageLength = (double) words / Math.max(1, products.size());
    }

    static ProductIndex of(List<Product> products) {
        return new ProductIndex(products);
    }

    int size() {
        return products.size();
    }

    List<Hit> search(String query, int limit) {
        return rank(score(tokenize(query)), limit);
    }

    static List<String> tokenize(String text) {
        List<String> words = new ArrayList<>();
        for (String word : text.toLowerCase(Locale.ROOT).split("[^a-z0-9]+")) {
            if (!word.isEmpty()) {
                words.add(word);
            }
        }
        return words;
    }

    private Map<Integer, Double> score(List<String> words) {
        Map<Integer, Double> scores = new HashMap<>();
        for (String word : words) {
            List<Posting> found = postings.getOrDefault(word, List.of());
            double rarity = Math.log(1 + (products.size() - found.size() + 0.5) / (found.size() + 0.5));
            for (Posting posting : found) {
                double length = 1 - B + B * lengths[posting.product()] / averageLength;
                double weight = posting.count() * (K1 + 1) / (posting.count() + K1 * length);
                scores.merge(posting.product(), rarity * weight, Double::sum);
            }
        }
        return scores;
    }

    private List<Hit> rank(Map<Integer, Double> scores, int limit) {
        return scores.entrySet().stream()
                .map(entry -> new Hit(products.get(entry.getKey()), entry.getValue()))
                .sorted(Comparator.comparingDouble(Hit::score).reversed().thenComparing(hit -> hit.product().id()))
                .limit(limit)
                .toList();
    }
}
