package com.acme.search;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.logging.Logger;

/** Product search over HTTP: {@code GET /?q=words} answers with the ten best products. */
public final class SearchService {
    private static final Logger LOG = Logger.getLogger(SearchService.class.getName());
    private static final int PORT = 8080;
    private static final int PRODUCTS = 4_000;
    private static final int RESULTS = 10;
    private static final int SHUTDOWN_SECONDS = 5;

    private final ProductIndex index;

    private SearchService(ProductIndex index) {
        this.index = index;
    }

    public static void main(String[] args) throws IOException {
        ProductIndex index = ProductIndex.of(Catalog.generate(PRODUCTS));
        SearchService service = new SearchService(index);
        ExecutorService workers = Executors.newFixedThreadPool(4);
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.createContext("/healthz", exchange -> answer(exchange, 200, "text/plain", "ok\n"));
        server.createContext("/", service::search);
        server.setExecutor(workers);
        LoadGenerator load = new LoadGenerator(index);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, workers, load), "shutdown"));
        server.start();
        load.start();
        LOG.info(() -> "search is listening on " + PORT + ", " + index.size() + " products");
    }

    private static void stop(HttpServer server, ExecutorService workers, LoadGenerator load) {
        load.interrupt();
        server.stop(1);
        workers.shutdown();
        try {
            if (!workers.awaitTermination(SHUTDOWN_SECONDS, TimeUnit.SECONDS)) {
                workers.shutdownNow();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void search(HttpExchange exchange) throws IOException {
        if (!exchange.getRequestURI().getPath().equals("/")) {
            answer(exchange, 404, "text/plain", "not found\n");
            return;
        }
        List<Hit> hits = index.search(query(exchange.getRequestURI().getRawQuery()), RESULTS);
        StringBuilder json = new StringBuilder("{\"hits\":[");
        for (Hit hit : hits) {
            if (json.charAt(json.length() - 1) != '[') {
                json.append(',');
            }
            json.append("{\"title\":\"").append(hit.product().title()).append("\",\"score\":").append(hit.score()).append('}');
        }
        answer(exchange, 200, "application/json", json.append("]}\n").toString());
    }

    private static String query(String rawQuery) {
        if (rawQuery != null) {
            for (String parameter : rawQuery.split("&")) {
                if (parameter.startsWith("q=")) {
                    return URLDecoder.decode(parameter.substring(2), StandardCharsets.UTF_8);
                }
            }
        }
        return "light red shoe";
    }

    private static void answer(HttpExchange exchange, int status, String type, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, bytes.length);
        try (exchange) {
            exchange.getResponseBody().write(bytes);
        }
    }
}
