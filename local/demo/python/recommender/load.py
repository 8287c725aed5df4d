"""Recommend until told to stop, so that a service without visitors has profiles too."""

import random
import threading
import time

from recommender.model import CUSTOMERS, Model

INTERVAL = 0.1  # seconds
REST_PER_WORK = 30  # the pause is so many times the work before it: near 3 % of a core on any machine


def generate_load(model: Model, stopping: threading.Event) -> None:
    while True:
        start = time.perf_counter()
        model.recommend(random.randrange(CUSTOMERS))  # noqa: S311
        if stopping.wait(max(INTERVAL, REST_PER_WORK * (time.perf_counter() - start))):
            return
