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
        for waiver, place in self.file.live:
            if waiver.holds_in(stack) and not any(
                r.id == waiver.rule and covers(waiver, v, urn) for r, v, urn in found
            ):
                yield Problem(UNUSED, f"{waiver.rule} finds nothing at {waiver.target}", place)


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
    if not path.is_file():
        return Waivers()
    return Waivers(read(path.read_text(encoding="utf-8", errors="replace"), waivable(rules), today or current_day()))


def waivable(rules: Iterable[Rule]) -> Mapping[str, bool]:
    """Whether a rule can be waived, by its id."""
    return {rule.id: rule.waivable for rule in rules}


def current_day() -> date:
    """Today, the same for everybody."""
    return datetime.now(UTC).date()
