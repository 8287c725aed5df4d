"""Progress: every step with its name and the time it took, written as it happens."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
QUICK = 1.0  # seconds


class Steps:
    """Prints steps and their times; what happens inside a step is printed indented below it."""

    def __init__(self, write: Say) -> None:
        self._write = write
        self._beginning = threading.Timer(QUICK, lambda: None)
        self._start = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Say]:
        """One step. Yields the function that prints a line inside it."""
        self._write(f"== {name}")
        start = time.monotonic()
        done = "stopped"
        try:
            yield self.say
            done = "done"
        finally:
            self._write(f"   {done} after {seconds(start)}")

    def say(self, text: str) -> None:
        """A line, or several, inside the current step."""
        for line in text.splitlines():
            self._write(f"   {line}")

    def progress(self, name: str, took: float | None) -> None:
        """A part of a step that reports itself: when it begins without a time, and again with its seconds.

        The beginning is worth a line only when the end does not come at once.
        """
        if took is None:
            self._beginning = threading.Timer(QUICK, self._write, [f"   {name} ..."])
            self._beginning.daemon = True
            self._beginning.start()
        else:
            self._beginning.cancel()
            self._write(f"   {name}: {took:.1f} s")

    def total(self) -> str:
        """Time since the first step."""
        return seconds(self._start)


def seconds(start: float) -> str:
    """Time since `start` (monotonic), for reading."""
    took = time.monotonic() - start
    return f"{took:.1f} s" if took < 120 else f"{took // 60:.0f} min {took % 60:.0f} s"
