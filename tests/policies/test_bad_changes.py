"""Bad changes of prod, one at a time: each is found by exactly one rule, at the line that made it.

The changes are the fixtures with `base: prod`. Here they go the whole way: the recorded program, the pack in its own
process over Pulumi's protocol, the finding with its place in the program or under services/. It cannot prove what the
engine adds on `up`; the engine tier does.
"""

import linecache
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from corpus import ROOT, Fixture, about, fixtures, recorded

from flameplane.catalog import load
from flameplane.findings import Finding
from flameplane.plan import Recording, Resource
from flameplane.plan.evaluate import _Judge  # the pack is started once for all cases
from flameplane.plan.pack import Pack, running_pack
from policies import resources

BAD = [f for f in fixtures(fires=True) if f.of_prod]
# A pass over the whole stack takes a second: of each rule two changes go the whole way, test_policy_rules.py has all.
WHOLE_WAY = [f for rule in sorted({f.rule for f in BAD}) for f in [f for f in BAD if f.rule == rule][:2]]


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    with running_pack(ROOT / "policies", recorded("prod")) as started:
        yield started


def changed(fixture: Fixture) -> tuple[Recording, list[Resource]]:
    """The recording with the change, and the resources that it touched."""
    recording = recorded("prod")
    found: list[Resource] = []
    touched: list[Resource] = []
    by_identity = {_identity(m): m for m in fixture.manifests()}
    for resource in recording.resources:
        seen = resources.manifest(resource.type, resource.name, resource.inputs, protect=resource.protect)
        if not resource.custom or seen is None:
            found.append(one := _told(resource, resource, by_identity))
            touched += [one] if one is not resource else []
            continue
        if (now := by_identity.pop(_identity(seen), None)) is None:
            continue  # left out
        one = resource if now == seen else _with(resource, now)
        one = _told(one, resource, by_identity)
        found.append(one)
        if one is not resource:
            touched.append(one)
    for added in (m for m in by_identity.values() if m["kind"] not in (resources.SETTINGS, resources.RESOURCE)):
        touched.append(_new(added))
        found.append(touched[-1])
    return replace(recording, resources=tuple(found)), touched


def _told(resource: Resource, recorded_one: Resource, manifests: dict[str, Any]) -> Resource:
    """The resource with what a fixture changes of its options, or of a provider, as against the recorded one."""
    seen = about(recorded_one)
    now = manifests.pop(_identity(seen), None) if seen else None
    if seen is None or now is None or now == seen:
        return resource
    options = now["options"]
    return replace(
        resource,
        inputs=now["spec"] or resource.inputs,
        version=now["spec"].get("version", resource.version),
        protect=options["protect"],
        ignore_changes=tuple(options["ignoreChanges"]),
        aliases=tuple(options["aliases"]),
        delete_before_replace=options["deleteBeforeReplace"] or None,
        custom_timeouts={"create": "1h"} if options["customTimeouts"] else {},
        provider=resource.provider if now["provider"] == seen["provider"] else None,
    )


def _identity(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata") or {}
    return f"{manifest['kind']} {metadata.get('namespace')}/{metadata.get('name')}"


def _with(resource: Resource, manifest: dict[str, Any]) -> Resource:
    if resource.type.startswith("kubernetes:"):
        return replace(resource, inputs=manifest)
    return replace(resource, inputs=manifest["spec"], protect=manifest["options"]["protect"])


def _new(manifest: dict[str, Any]) -> Resource:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if ":" in kind:
        return Resource(f"urn:pulumi:prod::flameplane::{kind}::{name}", kind, name, True, manifest["spec"])
    group, _, version = manifest["apiVersion"].rpartition("/")
    token = f"kubernetes:{group or 'core'}/{version}:{kind}"
    return Resource(f"urn:pulumi:prod::flameplane::{token}::{name}", token, name, True, manifest)


@contextmanager
def _judging(fixture: Fixture, pack: Pack) -> Iterator[list[Finding]]:
    recording, touched = changed(fixture)
    judge = _Judge(recording, ROOT, load(ROOT).sources, pack)
    only = _Judge(replace(recording, resources=tuple(touched)), ROOT, judge.sources, pack)
    yield [*only.objects(), *judge.stack()]
    # The pack remembers what was declared: tell it what the next case begins with.
    urns = {resource.urn for resource in touched}
    before = tuple(r for r in recorded("prod").resources if r.urn in urns)
    list(_Judge(replace(recording, resources=before), ROOT, judge.sources, pack).objects())


@pytest.mark.parametrize("fixture", WHOLE_WAY, ids=str)
def test_is_found_by_its_rule_at_its_place(fixture: Fixture, pack: Pack) -> None:
    with _judging(fixture, pack) as findings:
        assert {f.id for f in findings} == {fixture.rule}, findings
    assert all(f.severity == ("warning" if fixture.rule == "FP014" else "error") for f in findings)
    (finding, *_) = [f for f in findings if fixture.expected in f.message]
    described = fixture.of_prod
    assert described
    if place := described.get("place"):
        assert finding.location, "it points nowhere"
        assert finding.location.file.startswith(place), finding.location
        line = linecache.getline(str(ROOT / finding.location.file), finding.location.line)
        assert line.strip(), finding.location
        if finding.location.file.endswith(".py"):
            assert "(" in line, f"{finding.location} is no call: {line}"
        else:
            assert finding.location.line > 1, f"{finding.location} is only the head of the file"


def test_there_are_enough_of_them() -> None:
    assert len(WHOLE_WAY) >= 40
    rules = {f.rule for f in BAD}
    assert len(rules) >= 38, sorted(rules)


def test_nothing_is_found_in_prod_itself(pack: Pack) -> None:
    recording = recorded("prod")
    judge = _Judge(recording, ROOT, load(ROOT).sources, pack)
    assert [*judge.objects(), *judge.stack()] == []


def test_every_change_is_described() -> None:
    for fixture in (f for f in (*BAD, *fixtures(fires=False)) if f.of_prod):
        described = fixture.of_prod
        assert described and described["what"].endswith("."), fixture
        assert set(described) <= {"base", "what", "place", "change"}, fixture
        assert Path(fixture.path).stat().st_size < 3000, f"{fixture}: a small change"
