"""Burns CPU time in two functions, in turn, and says how much in each: what a profile of it has to show.

In a thread of its own, and with a secret as argument and local variable: a profile has neither.
"""

import json
import sys
import threading
import time


def heavy(n: int, password: str) -> int:
    total = len(password)
    for i in range(n):
        total += i * i
    return total


def light(n: int, password: str) -> int:
    total = len(password)
    for i in range(n):
        total ^= i << (i % 7)
    return total


class Work:
    def burn(self, work, long: int, password: str) -> int:
        start = time.thread_time_ns()
        while True:
            work(20_000, password)
            spent = time.thread_time_ns() - start
            if spent >= long:
                return spent


def main(seconds: float) -> None:
    password = "-".join(["planted", "secret", "value"])
    in_heavy = in_light = 0
    while in_heavy + in_light < seconds * 1e9:
        in_heavy += Work().burn(heavy, 70_000_000, password)
        in_light += Work().burn(light, 30_000_000, password)
    json.dump({"heavy": in_heavy, "light": in_light}, sys.stdout)


thread = threading.Thread(target=main, args=(float(sys.argv[1]),))
thread.start()
thread.join()
