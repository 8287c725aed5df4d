"""What is said about one kind of mistake in a declared file."""

from typing import NamedTuple


class Rule(NamedTuple):
    """What is wrong, why it matters, what to do. ``kinds`` are the prefixes that can report it."""

    title: str
    why: str
    fix: str
    kinds: tuple[str, ...] = ("SVC", "SET", "LCK", "EXP")
