"""For rules that compare a whole document with the one that was reviewed: they stand back where another rule has
already said what is wrong, so that one mistake is one finding."""

from collections.abc import Iterable, Sequence

from policies.rule import Manifest, Rule


def unblamed(candidates: Iterable[Manifest], manifests: Sequence[Manifest], rules: Iterable[Rule]) -> list[Manifest]:
    """The candidates in which none of ``rules`` finds anything, of all ``manifests`` of the stack."""
    blamed: set[int] = set()
    for rule in rules:
        applicable = rule.applicable(manifests)
        batches = [applicable] if rule.scope == "stack" else [[m] for m in applicable]
        blamed |= {id(v.manifest) for batch in batches if batch for v in rule.check(batch)}
    return [m for m in candidates if id(m) not in blamed]
