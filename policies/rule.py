"""What a rule is. Nothing here knows Pulumi: a rule reads plain manifests, so tests and tools can run it as it is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

Manifest = Mapping[str, Any]


class Unreadable(Exception):
    """A ConfigMap holds a file that is no YAML or JSON though it is called so. What rules read of it they cannot judge;
    rule FP059 says so, once, and nobody can waive that."""


@dataclass(frozen=True)
class Violation:
    """One break of a rule."""

    message: str
    manifest: Manifest | None = None  # the object at fault; None: the stack as a whole
    declared: str = ""  # the declaration behind it, "<service, team or organisation>/<name> <yaml path>"

    def __str__(self) -> str:
        return f"{self.message} [declared: {self.declared}]" if self.declared else self.message


@dataclass(frozen=True)
class Rule:
    """One rule.

    ``check`` gets the manifests whose kind is in ``kinds`` (no kinds: all): one at a time (scope "object") or all of a
    stack at once (scope "stack"), then also the settings of the environment (policies/resources.py) if it names their
    kind. Stack rules cost more and, on `pulumi up`, speak only after everything was applied: use them where
    one object cannot be judged by itself. Manifests may be read-only proxies that raise on a value not known before
    apply, so a check must not compare lists with `==` (a proxy never equals a list) nor look for `dict`, `list` or
    `int` by type.
    """

    id: str
    name: str
    why: str
    remediation: str
    kinds: tuple[str, ...]
    check: Callable[[Sequence[Manifest]], Iterable[Violation]]
    severity: Literal["error", "warning"] = "error"  # an error blocks (mandatory), a warning does not (advisory)
    scope: Literal["object", "stack"] = "object"
    waivable: bool = True  # False: nobody's reason could be good enough (policies/waivers.yaml)

    def applicable(self, manifests: Iterable[Manifest]) -> list[Manifest]:
        """The manifests this rule is about."""
        return [
            m
            for m in manifests
            if (m.get("kind") in self.kinds if self.kinds else m.get("kind") not in ("Settings", "Resource"))
        ]


def run(rules: Iterable[Rule], manifests: Sequence[Manifest]) -> list[tuple[Rule, Violation]]:
    """Run rules over a whole stack in this process, without Pulumi. A check that throws is not caught here, unless it
    could not read a file, which is rule FP059's to say."""
    found: list[tuple[Rule, Violation]] = []
    for rule in rules:
        applicable = rule.applicable(manifests)
        batches = [applicable] if rule.scope == "stack" else [[m] for m in applicable]
        for batch in (b for b in batches if b):
            with suppress(Unreadable):
                found += [(rule, violation) for violation in rule.check(batch)]
    return found
