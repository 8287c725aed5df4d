"""recommender: products that customers with a similar taste have bought."""
