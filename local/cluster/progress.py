"""How steps are told to the user: a callback gets each step's name twice, at first without a time, then with it."""

import contextlib
import time
from collections.abc import Callable, Iterator

Progress = Callable[[str, float | None], None]


def silent(step: str, seconds: float | None) -> None:
    """A callback that tells nobody."""


@contextlib.contextmanager
def step(progress: Progress, name: str) -> Iterator[None]:
    """Report `name` when it begins and, if it does not fail, when it is done."""
    progress(name, None)
    begin = time.monotonic()
    yield
    progress(name, time.monotonic() - begin)
