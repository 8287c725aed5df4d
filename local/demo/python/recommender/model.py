"""Item-to-item collaborative filtering over purchases held in memory."""

import heapq
import math
import random

CUSTOMERS = 400
PRODUCTS = 150
PURCHASES = 12  # of one customer


class Model:
    """Which customers bought which product, and how alike two products are by that."""

    def __init__(self, seed: int = 42) -> None:
        chance = random.Random(seed)  # noqa: S311
        self.baskets: list[set[int]] = []
        self.buyers: dict[int, set[int]] = {product: set() for product in range(PRODUCTS)}
        for customer in range(CUSTOMERS):
            basket = set(chance.sample(range(PRODUCTS), PURCHASES))
            self.baskets.append(basket)
            for product in basket:
                self.buyers[product].add(customer)

    def recommend(self, customer: int, count: int = 5) -> list[tuple[int, float]]:
        """The products the customer does not have yet that fit the basket best, with their scores."""
        basket = self.baskets[customer % CUSTOMERS]
        scores = {product: self._score(product, basket) for product in self.buyers if product not in basket}
        return heapq.nlargest(count, scores.items(), key=lambda item: item[1])

    def _score(self, product: int, basket: set[int]) -> float:
        return sum(self._similarity(product, bought) for bought in basket)

    def _similarity(self, one: int, other: int) -> float:
        """Cosine of the two products' buyers."""
        buyers, others = self.buyers[one], self.buyers[other]
        if not buyers or not others:
            return 0.0
        return len(buyers & others) / math.sqrt(len(buyers) * len(others))
