package com.acme.search;

/** A product and how well it fits the query. */
record Hit(Product product, double score) {}
