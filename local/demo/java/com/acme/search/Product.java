package com.acme.search;

/** One product as customers see it. */
record Product(int id, String title, String description) {}
