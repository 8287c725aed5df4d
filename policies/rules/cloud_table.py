"""Compares cloud resources with the tables of schemas/reviewed/cloud*.py, one difference at a time.

A difference that a more specific rule finds by itself is left to that rule, so that one mistake is one finding. Whether
it does is tried: the rule gets the reviewed resource with this difference and no other. So neither a second mistake in
the same resource nor a waiver for the first hides anything.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.cloud import BUCKET, Cloud
from policies.context import platform
from policies.declared import read
from policies.objects import at, plain
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule
from policies.rules import (
    cloud_buckets,
    cloud_budget,
    cloud_encryption,
    cloud_lifecycle,
    cloud_perimeter,
    cloud_roles,
    kinds,
)
from schemas.allowed import CLOUD_KINDS
from schemas.reviewed.cloud import AUDIT, Site
from schemas.reviewed.cloud_forms import Document, Form, Forms, Later, One, Rows, example, shown
from schemas.reviewed.cloud_resources import Resource, resources
from schemas.settings.cloud import Cloud as Account

KINDS: Final = ("ConfigMap", "ServiceAccount", *CLOUD_KINDS, SETTINGS)
SPECIFIC: Final[tuple[Rule, ...]] = (
    *kinds.RULES,
    *cloud_buckets.RULES,
    *cloud_perimeter.RULES,
    *cloud_encryption.RULES,
    *cloud_lifecycle.RULES,
    *cloud_roles.RULES,
    *cloud_budget.RULES,
)
ABSENT: Final = object()
Path = tuple[str | int | None, ...]  # keys; of a list an index, the `id` of an entry, or None: at its end


@dataclass(frozen=True)
class Difference:
    """One difference. ``alone``: the reviewed resource with it and no other; None where the resource is missing."""

    how: str
    alone: Manifest | None


@dataclass(frozen=True)
class Pair:
    """A resource as it is declared and as it was reviewed. One of the two may be missing, never both."""

    kind: str
    name: str
    declared: Manifest | None
    reviewed: Manifest | None  # without documents that nobody has put in yet, and without what only the cloud knows
    forms: Forms


def pairs(cloud: Cloud, manifests: Sequence[Manifest]) -> Iterator[Pair]:
    """Every resource that is declared or was reviewed."""
    if (site := site_of(cloud, manifests)) is None:
        return
    table = {(r.kind, r.name): r for r in resources(site, cloud_lifecycle.longest(manifests))}
    missing = dict(table)
    for manifest in cloud.of(*CLOUD_KINDS):
        known = (str(manifest["kind"]), str(at(manifest, "metadata", "name")))
        missing.pop(known, None)
        row = table.get(known)
        yield Pair(*known, manifest, _as_reviewed(row) if row else None, row.inputs if row else {})
    for row in missing.values():
        yield Pair(row.kind, row.name, None, _as_reviewed(row), row.inputs)


def site_of(cloud: Cloud, manifests: Sequence[Manifest]) -> Site | None:
    """The environment as its settings say; None where they have no cloud."""
    if not cloud.said("cloud"):
        return None
    known = platform(manifests)
    declared = at(read(manifests).organisation, "metadata", "name")
    organisation = known.catalog.organisation.metadata.name if known else declared
    if not organisation:  # no declarations in this stack: a bucket is named after it
        names = (str(at(bucket, "spec", "bucket")) for bucket in cloud.of(BUCKET))
        audit = [name for name in names if cloud.purpose(name) == AUDIT]
        organisation = audit[0].removesuffix(f"-flameplane-{AUDIT}-{cloud.environment}") if audit else ""
    return Site(
        cloud.environment,
        str(organisation),
        Account.model_validate(plain(cloud.said("cloud"))),
        str(cloud.said("backend.architecture") or "process"),
        str(cloud.said("backend.objectStorage.bucket")),
    )


def _as_reviewed(row: Resource) -> Manifest:
    options = {"protect": row.kept}
    return {"kind": row.kind, "metadata": {"name": row.name}, "spec": example(row.inputs), "options": options}


def left(pair: Pair, differences: Iterable[Difference], manifests: Sequence[Manifest]) -> Iterator[Difference]:
    """The differences that no specific rule finds."""
    others = [m for m in manifests if m is not pair.declared]
    known: set[str] | None = None
    for difference in differences:
        known = _found(pair.kind, others, pair.reviewed) if known is None else known
        if not _found(pair.kind, others, difference.alone) - known:
            yield difference


def _found(kind: str, others: Sequence[Manifest], one: Manifest | None) -> set[str]:
    """What the specific rules say of a stack with this resource in it."""
    mine = [] if one is None else [one]
    said: set[str] = set()
    for rule in (r for r in SPECIFIC if not r.kinds or kind in r.kinds):
        batch = rule.applicable([*others, *mine]) if rule.scope == "stack" else mine
        try:
            said |= {f"{rule.id} {violation}" for violation in (rule.check(batch) if batch else ())}
        except Exception as error:  # its own policy names it, and blocks
            said.add(f"{rule.id} could not run: {error}")
    return said


def inputs(pair: Pair) -> Iterator[Difference]:
    """How inputs and options differ from what they may be; documents are compared elsewhere (cloud_documents.py)."""
    assert pair.declared is not None and pair.reviewed is not None
    documents = {key for key, form in pair.forms.items() if isinstance(form, Document)}
    forms = {key: form for key, form in pair.forms.items() if key not in documents}
    for path, value, how in _deviations(forms, pair.declared.get("spec") or {}, ()):
        alone = copy.deepcopy(dict(pair.reviewed))
        _put(alone["spec"], path, value)
        yield Difference(how, alone)
    if pair.reviewed["options"]["protect"] and at(pair.declared, "options", "protect") is not True:
        how = "is not protected: `pulumi destroy` would take it away, and what it holds with it"
        yield Difference(how, {**pair.reviewed, "options": {"protect": False}})


def _deviations(forms: Forms, found: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any, str]]:
    for key, form in forms.items():  # of other keys, FP016 says whether they may be set
        here = (*path, key)
        if isinstance(form, Later):
            value = _known(found, key)
            if not form.fits(value):
                yield here, value, f"has {_shown(here)} {value}; it has to be {form}"
        elif (value := found.get(key)) is not None:
            yield from _deviating(form, value, here)
        elif not (isinstance(form, Form) and form.optional):
            yield here, ABSENT, f"does not set {_shown(here)}; it has to be {_wanted(form)}"


def _deviating(form: "Form | Forms", value: Any, here: Path) -> Iterator[tuple[Path, Any, str]]:
    """Only what has a form is read: the cloud shows more after apply, some of which is not known before."""
    maps = not isinstance(value, str) and isinstance(value, Sequence) and all(isinstance(v, Mapping) for v in value)
    if not isinstance(form, Form) and isinstance(value, Mapping):
        yield from _deviations(form, value, here)
    elif isinstance(form, Rows) and maps:
        yield from _rows(form, value, here)
    elif isinstance(form, One) and maps and len(value) == 1:
        yield from _deviations(form.form, value[0], (*here, 0))
    elif not isinstance(form, Form) or isinstance(form, (Rows, One)) or not form.fits(plain(value)):
        yield here, plain(value), f"has {_shown(here)} {shown(plain(value))}; it has to be {_wanted(form)}"


def _rows(form: Rows, rows: Sequence[Mapping[str, Any]], here: Path) -> Iterator[tuple[Path, Any, str]]:
    if not rows:
        yield here, [], f"has no {_shown(here)}; needed: {form}"
        return
    seen: set[Any] = set()
    for row in rows:
        called = row.get("id")
        if called in form.rows and called not in seen:
            yield from _deviations(form.rows[called], row, (*here, called))
        else:
            yield (*here, None), plain(row), f"has the rule {called}, which was not reviewed; valid: {form}"
        seen.add(called)
    for missing in (called for called in form.rows if called not in seen):
        yield (*here, missing), ABSENT, f"has no rule {missing}; needed: {form}"


def _put(value: Any, path: Path, new: Any) -> None:
    """Set, remove or append what is at a path."""
    *ways, last = (step for step in path)
    for way in ways:
        value = value[_step(value, way)]
    if last is None:
        value.append(new)
    elif new is ABSENT:
        del value[_step(value, last)]
    else:
        value[_step(value, last)] = new


def _step(value: Any, way: str | int | None) -> Any:
    if isinstance(value, list) and isinstance(way, str):
        return next(i for i, row in enumerate(value) if row.get("id") == way)
    return way


def _known(spec: Manifest, key: str) -> Any:
    """A value that only the cloud knows at first, None as long as it does not say."""
    try:
        return spec[key] if isinstance(spec[key], str) else None
    except Exception:  # of Pulumi, which this module does not know
        return None


def _wanted(form: "Form | Forms") -> str:
    return str(form) if isinstance(form, Form) else ", ".join(f"{key}: {_wanted(of)}" for key, of in form.items())


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
