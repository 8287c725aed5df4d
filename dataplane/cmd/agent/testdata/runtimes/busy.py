"""Burns CPU time in two functions, in turn, and says how much in each: what a profile of it has to show."""

import json
import sys
import time


def heavy(n: int) -> int:
    total = 0
    for i in range(n):
        total += i * i
    return total


def light(n: int) -> int:
    total = 0
    for i in range(n):
        total ^= i << (i % 7)
    return total


class Work:
    def burn(self, work, long: int) -> int:
        start = time.thread_time_ns()
        while True:
            work(20_000)
            spent = time.thread_time_ns() - start
            if spent >= long:
                return spent


def main(seconds: float) -> None:
    in_heavy = in_light = 0
    while in_heavy + in_light < seconds * 1e9:
        in_heavy += Work().burn(heavy, 70_000_000)
        in_light += Work().burn(light, 30_000_000)
    print(json.dumps({"heavy": in_heavy, "light": in_light}))


main(float(sys.argv[1]))
