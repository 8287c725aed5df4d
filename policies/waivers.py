"""Which violations policies/waivers.yaml covers, and which waivers cover none. What is covered is still reported."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from policies.objects import at, name
from policies.rule import Manifest, Rule, Violation
from schemas.waivers import Problem, Waiver, read
from schemas.waivers import Waivers as File

PATH: Final = Path(__file__).parent / "waivers.yaml"
MARK: Final = " [waived: "  # stands before the waiver in the message of a violation that it covers
SUFFIX: Final = "-waived"  # of the name of the policy that reports what is waived of a rule
UNUSED: Final = "WVR007"


@dataclass(frozen=True)
class Waivers:
    """The waivers of this pack."""

    file: File = field(default_factory=File)

    def of(self, rule: Rule) -> list[Waiver]:
        """The waivers of a rule that hold today."""
        return [waiver for waiver, _ in self.file.live if waiver.rule == rule.id]

    def covering(self, rule: Rule, violation: Violation, urn: str | None) -> Waiver | None:
        """The waiver of a violation of the resource ``urn``."""
        return next((w for w in self.of(rule) if covers(w, violation, urn)), None)

    def unused(self, found: Iterable[tuple[Rule, Violation, str | None]], stack: str) -> Iterator[Problem]:
        """The waivers that cover nothing of what was ``found`` in an environment which they are about."""
        found = list(found)
        used = [(w, p, self._covered(w, found)) for w, p in self.file.live if w.holds_in(stack)]
        kept = list(used)
        for waiver, place, mine in reversed(used):
            others = [(p, theirs) for w, p, theirs in kept if w is not waiver]
            if not mine:
                kept = [item for item in kept if item[0] is not waiver]
                yield Problem(UNUSED, f"{waiver.rule} finds nothing at {waiver.target}", place)
            elif mine <= set().union(*(theirs for _, theirs in others)):
                kept = [item for item in kept if item[0] is not waiver]
                line = next(p[0] for p, theirs in others if mine & theirs)
                message = f"what {waiver.rule} finds at {waiver.target} the waiver in line {line} covers already"
                yield Problem(UNUSED, message, place, fix="Keep one of the two.")

    @staticmethod
    def _covered(waiver: Waiver, found: Sequence[tuple[Rule, Violation, str | None]]) -> set[int]:
        """Which of what was found a waiver covers, by number."""
        return {i for i, (rule, v, urn) in enumerate(found) if rule.id == waiver.rule and covers(waiver, v, urn)}


def covers(waiver: Waiver, violation: Violation, urn: str | None) -> bool:
    """Whether a violation of the waiver's rule is the one that it means. ``urn``: of the resource at fault."""
    if urn and not waiver.holds_in(urn.split(":")[2]):
        return False
    if waiver.target.startswith("urn:"):
        return bool(urn) and fnmatchcase(str(urn), waiver.target)
    return waiver.target in _names(violation)


def _names(violation: Violation) -> Iterator[str]:
    """By what a waiver may name what a violation is about."""
    if violation.declared:
        yield violation.declared.partition(" ")[0]
    if (manifest := violation.manifest) is not None:
        yield _identity(manifest)
        labels = at(manifest, "metadata", "labels") or {}
        for what in ("service", "team"):
            if value := labels.get(f"flameplane.dev/{what}"):
                yield f"{what}/{value}"


def _identity(manifest: Manifest) -> str:
    namespace = at(manifest, "metadata", "namespace")
    return "/".join(str(part) for part in (manifest.get("kind"), namespace, name(manifest)) if part)


def load(rules: Sequence[Rule], today: date | None = None, path: Path = PATH) -> Waivers:
    """The file as it stands; without one nothing is waived."""
    if path.is_symlink() or (path.exists() and not path.is_file()):  # a link would let it change without a change here
        return Waivers(File((), (Problem("WVR001", "is no ordinary file", (1, 1), fix="Replace it by a file."),)))
    if not path.exists():
        return Waivers()
    return Waivers(read(path.read_bytes(), waivable(rules), today or current_day()))


def waivable(rules: Iterable[Rule]) -> Mapping[str, bool]:
    """Whether a rule can be waived, by its id."""
    return {rule.id: rule.waivable for rule in rules}


def current_day() -> date:
    """Today, the same for everybody."""
    return datetime.now(UTC).date()
