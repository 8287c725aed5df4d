"""For rules that compare a whole object with the one that was reviewed: they leave to a more specific rule what it
finds by itself, so that one mistake is one finding.

Whether it does is tried, one difference at a time: the rule gets the stack without this difference and with all others.
If it then says less, it has said what is wrong. So neither another mistake in the same object, nor a waiver for that
one, hides anything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from policies.rule import Manifest, Rule, Violation

_COULD_NOT_RUN = "could not run"  # its own policy names it, and blocks


class Suspect(NamedTuple):
    """A violation that another rule may have told already.

    ``mended``: its object without it, None if that is left out. ``was``: the object of the stack that it takes the
    place of, None if there is none. ``same``: ``was`` written as ``mended`` is, where only that differs.
    """

    violation: Violation
    was: Manifest | None
    mended: Manifest | None
    same: Manifest | None = None


class Backstop:
    """The more specific rules of a stack. Each runs only if it is asked, and again only if it has found anything."""

    def __init__(self, manifests: Sequence[Manifest], rules: Iterable[Rule]) -> None:
        self._manifests = manifests
        self._rules = [rule for rule in rules if rule.severity == "error"]  # a warning stops nothing
        self._said: dict[tuple[str, int], Counter[str]] = {}

    def left(self, suspects: Iterable[Suspect]) -> Iterator[Violation]:
        """What no specific rule has told."""
        return (suspect.violation for suspect in suspects if not self.says(suspect))

    def says(self, suspect: Suspect) -> bool:
        """Whether a specific rule has told a suspect."""
        was, mended, same = suspect.was, suspect.mended, suspect.same
        for rule in self._rules:
            said = self._now(rule, was)
            if said and same is not None:
                said = self._found(rule, was, same)
            if said and self._found(rule, was, mended).total() < said.total():
                return True
        return False

    def _now(self, rule: Rule, was: Manifest | None) -> Counter[str]:
        """What a rule says of the stack, or of one object of it, as it is."""
        key = (rule.id, 0 if rule.scope == "stack" else id(was))
        if key not in self._said:
            self._said[key] = self._found(rule, was, was)
        return self._said[key]

    def _found(self, rule: Rule, was: Manifest | None, now: Manifest | None) -> Counter[str]:
        """What a rule says with one object in the place of another."""
        mine = [] if now is None else [now]
        if rule.scope == "stack":
            there = any(m is was for m in self._manifests) if was is not None else False
            stack = [n for m in self._manifests for n in (mine if m is was else [m])]
            mine = stack if there else [*stack, *mine]
        batch = rule.applicable(mine)
        try:
            return Counter(str(v) for v in (rule.check(batch) if batch else ()))
        except Exception:  # of a rule, or of Pulumi: a value that is not known yet
            return Counter([_COULD_NOT_RUN])


def unblamed(candidates: Iterable[Manifest], manifests: Sequence[Manifest], rules: Iterable[Rule]) -> list[Manifest]:
    """The candidates in which none of ``rules`` finds anything, of all ``manifests`` of the stack."""
    blamed: set[int] = set()
    for rule in rules:
        applicable = rule.applicable(manifests)
        batches = [applicable] if rule.scope == "stack" else [[m] for m in applicable]
        blamed |= {id(v.manifest) for batch in batches if batch for v in rule.check(batch)}
    return [m for m in candidates if id(m) not in blamed]
