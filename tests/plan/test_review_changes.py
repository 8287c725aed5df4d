"""What a review says of a change: fields in words, openings, declarations with what they reach, findings, and the cut.

Small made-up recordings and declarations; a whole change in a git repository is in test_review_docs.py.
"""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flameplane.catalog import load, load_settings
from flameplane.findings import Finding, Location
from flameplane.plan.recording import Recording, Resource
from flameplane.plan.values import UNKNOWN, Secret
from flameplane.review.base import Base
from flameplane.review.declarations import declared_changes, image_changes
from flameplane.review.fields import compare
from flameplane.review.markdown import LIMIT, Page, as_markdown
from flameplane.review.objects import object_changes
from flameplane.review.openings import openings
from flameplane.review.post import MARKER
from flameplane.review.redact import Redactor
from flameplane.review.review import Review, Side, review, side_of
from flameplane.review.risks import risks
from flameplane.review.text import as_lines
from flameplane.review.waivers import waiver_changes

TODAY = date(2026, 11, 22)

FIELDS: dict[str, tuple[Any, Any, list[str]]] = {
    "number": ({"a": 19}, {"a": 99}, ["a 19 -> 99"]),
    "same": ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []),
    "added and removed": ({"a": 1}, {"b": {"c": True}}, ['b added: {"c": true}', "a removed, was 1"]),
    "true is not 1": ({"a": 1}, {"a": True}, ["a 1 -> true"]),
    "list by name": (
        {"c": [{"name": "x", "v": 1}, {"name": "y", "v": 1}]},
        {"c": [{"name": "y", "v": 2}, {"name": "x", "v": 1}]},
        ["c.y.v 1 -> 2"],
    ),
    "list without names": ({"r": ["get", "list"]}, {"r": ["list", "get", "delete"]}, ["r gets delete"]),
    "one of a list": ({"r": [{"p": 1}, {"p": 2}]}, {"r": [{"p": 1}, {"p": 3}]}, ["r[1].p 2 -> 3"]),
    "twice in a list": ({"r": [1, 1]}, {"r": [1]}, ["r loses 1"]),
    "YAML inside a text": ({"d": "a: 1\nb: 2\n"}, {"d": "a: 1\nb: 3\n"}, ["d.b 2 -> 3"]),
    "JSON inside a text": ({"d": '{"a": [1]}'}, {"d": '{"a": [1, 2]}'}, ["d.a gets 2"]),
    "text": ({"d": "one\nline"}, {"d": "two\nlines"}, ["d one line -> two lines"]),
    "secret": ({"s": Secret("hunter2")}, {"s": Secret("hunter3")}, ["s (secret) -> (secret)"]),
    "secret within a list": ({"s": [Secret("hunter2")]}, {"s": []}, ["s loses (secret)"]),
    "unknown": ({"s": "x"}, {"s": UNKNOWN}, ["s x -> (known after apply)"]),
    "long": ({"s": "x" * 200}, {"s": "y"}, [f"s {'x' * 59}… -> y"]),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields_in_words(case: str) -> None:
    before, after, expected = FIELDS[case]
    assert [change.words() for change in compare(before, after)] == expected


def resource(kind: str, name: str, inputs: dict[str, Any], **more: Any) -> Resource:
    """A Kubernetes object in namespace `n`, or a cloud resource."""
    cloud = kind.startswith("aws:")
    token = kind if cloud else f"kubernetes:x/v1:{kind}"
    own = {} if cloud else {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}}
    return Resource(f"urn:pulumi:prod::flameplane::{token}::{name}", token, name, True, {**own, **inputs}, **more)


def recording(*resources: Resource) -> Recording:
    """A run that registered these."""
    return Recording("flameplane", "prod", "organization", {}, resources)


def opened(before: Resource | None, after: Resource | None) -> list[str]:
    """What turning one resource into the other opens."""
    sides = (recording(*([side] if side else [])) for side in (before, after))
    return openings(object_changes(*sides, None))


def role(*verbs: str, **rule: Any) -> Resource:
    """A Role for Secrets."""
    return resource("Role", "r", {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": [*verbs], **rule}]})


def policy(**spec: Any) -> Resource:
    """A NetworkPolicy."""
    return resource("NetworkPolicy", "p", {"spec": spec})


def pod(**security: Any) -> Resource:
    """A DaemonSet with one container."""
    safe = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    container = {"name": "c", "securityContext": {**safe, **security}}
    return resource("DaemonSet", "d", {"spec": {"template": {"spec": {"containers": [container]}}}})


def bucket_policy(*statements: str) -> Resource:
    """A bucket policy."""
    return resource("aws:s3/bucketPolicy:BucketPolicy", "b", {"policy": f'{{"Statement": [{", ".join(statements)}]}}'})


DENY = '{"Effect": "Deny", "Action": "s3:*", "Principal": "*"}'
ALLOW = '{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Principal": "*"}'
TO = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
PORT = {"protocol": "TCP", "port": 443}
OPENINGS: dict[str, tuple[Resource | None, Resource | None, list[str]]] = {
    "verb": (role("get"), role("get", "list", "delete"), ["Role n/r: may now delete, list secrets"]),
    "fewer verbs": (role("get", "list"), role("get"), []),
    "named, then all": (role("get", resourceNames=["a"]), role("get"), ["Role n/r: may now get secrets"]),
    "subject": (
        None,
        resource("RoleBinding", "b", {"roleRef": {"name": "r"}, "subjects": [{"kind": "Group", "name": "system:all"}]}),
        ["RoleBinding n/b: gives r to Group system:all"],
    ),
    "egress": (
        policy(egress=[]),
        policy(egress=[{"to": [TO], "ports": [PORT]}]),
        ["NetworkPolicy n/p: lets out to 10.0.0.0/8 without 10.1.0.0/16 on TCP 443"],
    ),
    "everybody": (policy(), policy(ingress=[{}]), ["NetworkPolicy n/p: lets in everybody on every port"]),
    "closed": (policy(ingress=[{}]), policy(ingress=[]), []),
    "policy removed": (
        policy(),
        None,
        ["NetworkPolicy n/p: removed, so that what it closed is open unless another policy closes it"],
    ),
    "load balancer": (
        resource("Service", "s", {"spec": {}}),
        resource("Service", "s", {"spec": {"type": "LoadBalancer"}}),
        ["Service n/s: type LoadBalancer, not of this cluster alone"],
    ),
    "ingress": (None, resource("Ingress", "i", {}), ["Ingress n/i: a way into the cluster"]),
    "capability": (
        pod(),
        pod(capabilities={"add": ["SYS_ADMIN"]}, privileged=True),
        ["DaemonSet n/d: container c gets capability SYS_ADMIN", "DaemonSet n/d: container c is privileged"],
    ),
    "as before": (pod(privileged=True), pod(privileged=True, runAsUser=1), []),
    "cloud grant": (
        bucket_policy(DENY),
        bucket_policy(DENY, ALLOW),
        ["aws:s3/bucketPolicy:BucketPolicy b: allows s3:GetObject, s3:PutObject without conditions"],
    ),
    "denial gone": (
        bucket_policy(DENY, ALLOW),
        bucket_policy(ALLOW),
        ["aws:s3/bucketPolicy:BucketPolicy b: a denial is gone or changed"],
    ),
    "data": (
        resource("PersistentVolumeClaim", "c", {}),
        None,
        ["PersistentVolumeClaim n/c: removed, with everything that is stored in it"],
    ),
    "protection": (
        resource("aws:s3/bucket:Bucket", "b", {}, protect=True),
        resource("aws:s3/bucket:Bucket", "b", {}),
        ["aws:s3/bucket:Bucket b: no longer protected from being destroyed"],
    ),
    "admission": (
        resource("ValidatingAdmissionPolicy", "v", {"spec": {"a": 1}}),
        resource("ValidatingAdmissionPolicy", "v", {"spec": {"a": 2}}),
        ["ValidatingAdmissionPolicy n/v: changed; it decides what the API server admits"],
    ),
    "nothing": (role("get"), role("get"), []),
}


@pytest.mark.parametrize("case", OPENINGS)
def test_openings(case: str) -> None:
    before, after, expected = OPENINGS[case]
    assert opened(before, after) == expected


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A copy of what is declared."""
    for part in ("services", "stacks"):
        shutil.copytree(root / part, tmp_path / part)
    (tmp_path / "policies").mkdir()
    for file in ("images.lock", "Pulumi.yaml", "policies/waivers.yaml"):
        shutil.copy(root / file, tmp_path / file)
    return tmp_path


def replaced(project: Path, file: str, old: str, new: str) -> None:
    """Change a text of a file."""
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new, 1))


def test_a_default_is_told_once(root: Path, project: Path) -> None:
    """With the services that it reaches: not those that say otherwise, and not again at each service."""
    replaced(project, "services/insights/_team.yaml", "sampleRateHz: 19", "sampleRateHz: 49")
    found = declared_changes(load(root), load(project))
    assert [(d.kind, d.team) for d in found] == [("team", "insights")]
    (change,) = found
    assert "sampleRateHz 19 -> 49" in change.words
    assert set(change.reaches) == {
        s.name
        for s in load(root).catalog.of_team("insights")  # type: ignore[union-attr]
        if s.spec.profiling.sample_rate_hz == 19
    }
    assert change.where
    assert change.where.file == "services/insights/_team.yaml"


def test_services_come_and_go(root: Path, project: Path) -> None:
    shutil.rmtree(project / "services" / "payments" / "checkout")
    forth, back = declared_changes(load(root), load(project)), declared_changes(load(project), load(root))
    assert [d.words for d in forth] == ["service checkout removed"]
    assert [(d.words, str(d.where).partition(":")[0]) for d in back] == [
        ("service checkout new", "services/payments/checkout/service.yaml")
    ]


def test_a_renamed_service_is_no_removed_one(root: Path, project: Path) -> None:
    """The same pods under another name, and what changed beside it. Two that could be it are two new ones."""
    services = project / "services" / "payments"
    (services / "checkout").rename(services / "till")
    replaced(project, "services/payments/till/service.yaml", "name: checkout", "name: till")
    replaced(project, "services/payments/till/service.yaml", "sampleRateHz: 99", "sampleRateHz: 49")
    found = declared_changes(load(root), load(project))
    assert [d.words for d in found] == ["service till renamed, was checkout", "till: sampleRateHz 99 -> 49"]
    (line, *_) = risks(found, (), (), (None, None))
    assert line.startswith("service till: renamed from checkout; what is stored stays under the old name")


def test_images(root: Path, project: Path) -> None:
    digest = f"sha256:{'ab' * 32}"
    replaced(project, "images.lock", '"repository": "gateway",', f'"repository": "gateway", "digest": "{digest}",')
    replaced(project, "images.lock", '    "agent": {', '    "agent-two": {')
    assert [c.words for c in image_changes(root, project)] == [
        "agent removed",
        "agent-two new",
        f"gateway open -> {digest[:19]}",
    ]


def test_waivers(root: Path, project: Path) -> None:
    """Added, changed, removed and expiring, of this environment alone."""
    entry = '  - {{rule: {0}, target: service/{1}, owner: "@a", approver: "@b", reason: why, expires: "{2}"{3}}}\n'
    rows = [("FP001", "a", "2026-12-31", ""), ("FP002", "b", "2026-12-01", ""), ("FP003", "c", "2026-12-31", "")]
    other = ("FP004", "d", "2026-12-31", ", environments: [dev]")
    before = project / "before"
    (before / "policies").mkdir(parents=True)
    (before / "policies" / "waivers.yaml").write_text("waivers:\n" + "".join(entry.format(*r) for r in rows))
    rows = [("FP001", "a", "2027-01-15", ""), rows[1], ("FP009", "e", "2026-12-31", ""), other]
    (project / "policies" / "waivers.yaml").write_text("waivers:\n" + "".join(entry.format(*r) for r in rows))
    found = waiver_changes(before, project, "prod", TODAY)
    assert [(w.state, w.rule) for w in found] == [
        ("changed", "FP001"),
        ("expiring", "FP002"),
        ("added", "FP009"),
        ("removed", "FP003"),
    ]
    assert found[2].where == Location("policies/waivers.yaml", 4, 1)
    assert waiver_changes(root / "nowhere", root / "nowhere", "prod", TODAY) == []


def a_review(root: Path, project: Path, before: list[Finding], after: list[Finding]) -> Review:
    """The project against a copy of it, with made-up findings."""
    sides = []
    for folder, findings in ((root, before), (project, after)):
        settings = load_settings(folder, "prod")
        sides.append(Side(folder, load(folder), settings.settings, settings.sources, recording(), findings))
    return review(Base("main", "ab" * 20, root), *sides, "prod", TODAY)


def test_findings_new_before_fixed(root: Path, project: Path) -> None:
    """Lines that moved make no finding new; a waiver leaves it where it was, and says so."""
    at, later = Location("services/a.yaml", 3, 1), Location("services/a.yaml", 30, 1)
    old = [Finding("FP001", "error", "one", at), Finding("FP002", "error", "two", at)]
    new = [Finding("FP001", "note", "one", later, waived="until then"), Finding("FP003", "error", "three", at)]
    found = a_review(root, project, old, new)
    assert [[f.id for f in side] for side in (found.new, found.before, found.fixed)] == [
        ["FP003"],
        ["FP001"],
        ["FP002"],
    ]
    assert "  findings: 1 new, 0 there before, 1 fixed, 1 waived" in as_lines(found)


def page(root: Path, found: Review | None, findings: list[Finding]) -> Page:
    """What a comment is made from, without a summary."""
    redactor = Redactor((load_settings(root, "prod").settings,), ())
    return Page(
        "prod", findings, None, found, found.cost_after if found else None, "https://git.example.com/x", redactor
    )


def test_a_long_comment_is_cut(root: Path, project: Path) -> None:
    """At the end of a line, with a word about it, the fold closed, and everything that matters before it."""
    many = [Finding("FP001", "error", f"number {i} " + "x" * 150, subject=f"urn::{i}") for i in range(500)]
    found = a_review(root, project, [], many)
    before, after = ({"data": {str(i): f"{s}{i}" for i in range(8)}} for s in ("a" * 30, "b" * 30))
    objects = object_changes(
        recording(*(resource("ConfigMap", f"c{i}", before) for i in range(900))),
        recording(*(resource("ConfigMap", f"c{i}", after) for i in range(900))),
        None,
    )
    text = as_markdown(page(root, replace(found, objects=tuple(objects)), many))
    assert LIMIT - 1000 < len(text) <= LIMIT
    assert text.startswith(f"{MARKER}\n## Flameplane · prod: ❌ does not pass, 500 errors\n")
    assert "… and 480 more, in the output of the job." in text
    assert "cut here" in text[-200:]
    assert text.count("<details>") == text.count("</details>")


def test_comment_means_what_it_says(root: Path, project: Path) -> None:
    """Text of others is text: no table, HTML, link or mention comes out of it, and no value of settings."""
    replaced(project, "stacks/Pulumi.prod.yaml", "apiServer: 10.40.0.0/24", "apiServer: 10.41.0.0/24")
    evil = Finding(
        "FP001", "error", "a | b <img src=x> [c](http://x) @acme/security `d` **e**\nf", Location("x.py", 1, 1)
    )
    text = as_markdown(page(root, a_review(root, project, [], [evil]), [evil]))
    assert r"a \| b \<img src=x> \[c\](http://x) `@acme/security` \`d\` \*\*e\*\* f" in text
    assert "`cluster.apiServer` changed" in text
    assert "10.41." not in text
    assert "(https://git.example.com/x/x.py#L1)" in text


def test_nothing_changes(root: Path, project: Path) -> None:
    found = a_review(project, project, [], [])
    assert found.nothing
    assert "Nothing changes here against `main`." in as_markdown(page(root, found, []))
    assert "  none in this environment" in as_lines(found)


def test_what_was_there_before_is_not_new(root: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings of the files and a CODEOWNERS that has drifted are found in the base as well."""
    for team in ("payments", "catalog", "insights", "storefront"):
        shutil.rmtree(project / "services" / team)
    (project / "CODEOWNERS").write_text("* @acme/nobody\n")
    monkeypatch.setattr("flameplane.review.review.record", lambda *_: recording(role("get")))
    monkeypatch.setattr("flameplane.review.review.judge", lambda *_: [])
    base = side_of(Base("main", "ab" * 20, project), "prod")
    assert [f.id for f in base.findings or []] == ["PLN020", "SVC052"]
    found = review(Base("main", "ab" * 20, project), base, base, "prod", TODAY)
    assert ([f.id for f in found.before], found.new, found.fixed) == (["PLN020", "SVC052"], (), ())


def test_base_that_cannot_be_compared_in_full(root: Path, project: Path) -> None:
    """No such environment, no program, declarations that today's schemas refuse: said, never a failure."""
    base = Base("main", "ab" * 20, project)
    without_program = side_of(base, "prod")
    assert without_program.recording is None
    assert "main: there is no program" in without_program.problem
    replaced(project, "services/payments/checkout/service.yaml", "sampleRateHz: 99", "sampleRateHz: 199")
    assert "is refused by today's schemas, first: " in side_of(base, "prod").problem
    (project / "stacks" / "Pulumi.prod.yaml").unlink()
    absent = side_of(base, "prod")
    assert (absent.absent, absent.problem) == (True, "main has no stack prod: all of it is new")
    settings = load_settings(root, "prod")
    made = recording(role("get"))
    after = Side(root, load(root), settings.settings, settings.sources, made, [Finding("FP001", "error", "x")])
    found = review(base, absent, after, "prod", TODAY)
    assert [o.state for o in found.objects] == ["added"]
    assert [f.id for f in found.new] == ["FP001"]
    unjudged = review(base, without_program, after, "prod", TODAY)
    assert (unjudged.objects, unjudged.new, unjudged.before) == ((), (), ())
    assert [f.id for f in unjudged.uncompared] == ["FP001"]
    lines = "\n".join(as_lines(unjudged))
    assert "no object could be compared: main: there is no program" in lines
    assert "findings: 1 of this state, not compared" in lines
