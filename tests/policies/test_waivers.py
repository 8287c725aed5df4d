"""Waivers: what is a valid one, what it covers, and that the pack honours it over Pulumi's protocol.

`flameplane plan` and `pulumi preview --policy-pack` both get their answer from the pack's own process, so it is enough
to show it there once.
"""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus import fixtures
from test_policy_pack import recording

from flameplane.catalog.waivers import check_waivers, known_rules
from flameplane.findings import Finding, format_findings
from flameplane.plan import evaluate
from policies.rules import RULES
from policies.waivers import load, waivable
from schemas.waivers import FILE, TEXTS, Problem, read

TODAY = date(2026, 11, 22)
GOOD = {
    "rule": "FP005",
    "target": "Deployment/flameplane-access/gateway",
    "reason": "The registry is moved in week 3.",
    "owner": "@jane",
    "approver": "@joe",
    "expires": "2026-12-31",
}
CAN = {"FP005": True, "FP003": False}


def problems(text: str) -> list[Problem]:
    return list(read(text, CAN, TODAY).problems)


def one(**changes: Any) -> str:
    values = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return "waivers:\n" + yaml.safe_dump([values], sort_keys=False)


# What is wrong -> (text, id, line and column, part of the message).
WRONG = {
    "an empty file": ("", "WVR001", (1, 1), "declares nothing"),
    "comments alone": ("# none\n", "WVR001", (1, 1), "declares nothing"),
    "a list at the top": ("- rule: FP005\n", "WVR001", (1, 1), "a map with the key waivers"),
    "nothing there": ("waivers:\n", "WVR001", (1, 9), "has to be a list"),
    "misspelt head": ("waiver: []\n", "WVR001", (1, 1), "did you mean waivers?"),
    "no list": ("waivers: {a: b}\n", "WVR001", (1, 10), "has to be a list"),
    "another key": ("waivers: []\nnotes: []\n", "WVR001", (2, 1), "unknown key notes"),
    "not YAML": ("waivers: [\n", "WVR001", (2, 1), "not valid"),
    "no map": ("waivers: [FP005]\n", "WVR001", (1, 11), "has to be a map"),
    "an anchor": ("waivers: [&a {rule: FP005}, *a]\n", "WVR001", (1, 11), "an anchor (&a)"),
    "a tag": ("waivers: !!seq []\n", "WVR001", (1, 10), "a tag (!!seq)"),
    "two documents": ("waivers: []\n---\nwaivers: []\n", "WVR001", (2, 1), "second document"),
    "turned text": (one(reason="Up to the \u202eend.").replace("\\u202E", "\u202e"), "WVR001", (4, 22), "U+202E"),
    "a date without quotes": (one().replace("'2026-12-31'", "2026-12-31"), "WVR001", (7, 12), "without quotes"),
    "text for a list": (one(environments="prod"), "WVR001", (8, 17), "has to be a list"),
    "no environments": (one(environments=[]), "WVR001", (8, 17), "environments is empty"),
    "an environment twice": (one(environments=["dev", "dev"]), "WVR001", (10, 5), "listed twice"),
    "a list for text": (one(rule=["FP005"]), "WVR001", (3, 3), "rule has to be text"),
    "no value": (one(owner="x").replace("owner: x", "owner:"), "WVR001", (5, 9), "owner has no value"),
    "misspelt": (one(expires=None, expiry="2026-12-31"), "WVR001", (7, 3), "did you mean expires?"),
    "another word": (one(expires=None, until="2026-12-31"), "WVR001", (7, 3), "did you mean expires?"),
    "a key twice": (one() + "  rule: FP006\n", "WVR001", (8, 3), "written twice"),
    "unknown key": (one(until="2026-12-31"), "WVR001", (8, 3), "unknown key until"),
    "no reason": (one(reason=None), "WVR001", (2, 3), "reason is missing"),
    "no environment": (one(environments=["prd"]), "WVR001", (9, 5), "prd is no environment"),
    "a poor reason": (one(reason="later"), "WVR001", (4, 11), "reason"),
    "no approver": (one(approver=None), "WVR001", (2, 3), "approver is missing"),
    "no expiry": (one(expires=None), "WVR001", (2, 3), "expires is missing"),
    "no day": (one(expires="2026-02-30"), "WVR001", (7, 12), "no day"),
    "expires in words": (one(expires="soon"), "WVR001", (7, 12), "it has to be a day"),
    "no rule": (one(rule="FP999"), "WVR002", (2, 9), "no rule FP999"),
    "a rule's name": (one(rule="images"), "WVR001", (2, 9), "the id of a rule"),
    "unwaivable": (one(rule="FP003"), "WVR003", (2, 9), "cannot be waived"),
    "approved by the owner": (one(approver="Jane@example.com"), "WVR004", (6, 13), "their own"),
    "expired": (one(expires="2026-11-21", granted="2026-10-01"), "WVR005", (7, 12), "blocks again"),
    "too long": (one(expires="2027-02-21"), "WVR006", (7, 12), "2027-02-20 at the latest"),
    "too long after it was granted": (
        one(expires="2026-12-31", granted="2026-10-01"),
        "WVR006",
        (7, 12),
        "2026-12-30 at the latest",
    ),
    "granted in the future": (one(granted="2026-11-23"), "WVR006", (8, 12), "still to come"),
    "everything": (one(target="*"), "WVR008", (3, 11), "no one object"),
    "every object of a kind": (one(target="Deployment/*"), "WVR008", (3, 11), "no one object"),
    "every resource": (one(target="urn:pulumi:prod::flameplane::*::*"), "WVR008", (3, 11), "no one object"),
    "soon over": (one(expires="2026-12-06"), "WVR009", (7, 12), "14 more days"),
    "last day": (one(expires="2026-11-22"), "WVR009", (7, 12), "until the end of today"),
    "twice": (one() + one().removeprefix("waivers:\n"), "WVR010", (8, 9), "line 2"),
    "twice in prod": (one() + one(environments=["prod"]).removeprefix("waivers:\n"), "WVR010", (8, 9), "line 2"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_at_its_place(what: str) -> None:
    text, number, place, part = WRONG[what]
    (found,) = problems(text)
    assert (found.id, found.place) == (number, place), found
    assert part in found.message
    assert found.severity == ("warning" if number == "WVR009" else "error")
    live = read(text, CAN, TODAY).live
    assert len(live) == (1 if number in ("WVR009", "WVR010") else 0), "a waiver with a mistake waives nothing"


def test_every_finding_is_shown_above() -> None:
    assert {number for _, number, _, _ in WRONG.values()} | {"WVR007"} == TEXTS.keys()


@pytest.mark.parametrize(
    "text",
    [
        "waivers: []\n",
        one(),
        one(expires="2026-11-22") and one(expires="2027-02-20"),
        one(environments=["dev"]) + one(environments=["prod"]).removeprefix("waivers:\n"),
        one(target="service/checkout"),
        one(target="aws:s3/bucket:Bucket/profiles"),
        one(target="urn:pulumi:prod::flameplane::*::flameplane-access/gateway"),
        one(environments=["prod"], granted="2026-11-01"),
    ],
)
def test_nothing_is_wrong(text: str) -> None:
    assert problems(text) == []


def test_a_misspelt_key_is_told_with_what_was_meant() -> None:
    (found,) = problems(one(expires=None, expiry="2026-12-31"))
    assert (found.fix, found.valid[:2]) == ("Write expires:", ("rule", "target"))
    assert str(found).endswith("granted, environments\n  fix: Write expires:")


def test_bytes_that_are_no_text_are_refused() -> None:
    (found,) = read(b"waivers: []\n# \xff\n", CAN, TODAY).problems
    assert (found.id, found.place) == ("WVR001", (2, 1))


def test_validate_knows_the_rules_of_the_pack(root: Path) -> None:
    assert known_rules(root) == waivable(RULES)


def test_the_file_of_the_project_is_sound_and_empty() -> None:
    waivers = load(RULES).file
    assert waivers.problems == ()
    assert waivers.live == (), "the product ships without a waiver"


def test_validate_says_the_same_at_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / FILE).write_text(one(approver="@jane", expires="2027-02-21"))
    found = check_waivers(tmp_path, TODAY)
    assert [(f.id, f.severity, str(f.location)) for f in found] == [
        ("WVR004", "error", "policies/waivers.yaml:6:13"),
        ("WVR006", "error", "policies/waivers.yaml:7:12"),
    ]
    assert check_waivers(tmp_path / "policies", TODAY) == [], "without the file nothing is waived"


def test_some_rules_cannot_be_waived() -> None:
    assert 0 < sum(not can for can in waivable(RULES).values()) < len(RULES)


# -- the pack's own process ----------------------------------------------------------------------------------------


def day(days: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=days))


def with_waivers(root: Path, tmp_path: Path, text: str) -> Path:
    """A project whose pack is this one with other waivers."""
    shutil.copytree(root / "policies", tmp_path / "policies")
    (tmp_path / "schemas").symlink_to(root / "schemas")
    (tmp_path / "services").symlink_to(root / "services")
    (tmp_path / "policies" / "waivers.yaml").write_text(text)
    return tmp_path


def judged(root: Path, tmp_path: Path, text: str, fixture: str = "FP005/fire/tag") -> list[Finding]:
    (found,) = [f for f in fixtures(fires=True) if str(f) == fixture]
    return evaluate(recording(*found.manifests()), with_waivers(root, tmp_path, text))


def target(fixture: str = "FP005/fire/tag") -> str:
    (found,) = [f for f in fixtures(fires=True) if str(f) == fixture]
    manifest = found.manifests()[0]
    return f"{manifest['kind']}/{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def test_a_waived_violation_is_a_note_that_says_so(root: Path, tmp_path: Path) -> None:
    (finding,) = judged(root, tmp_path, one(target=target(), expires=day(60)))
    assert (finding.id, finding.severity) == ("FP005", "note")
    assert "[waived" not in finding.message and "not locked" in finding.message
    assert finding.waived == f"until {day(60)}; @jane, approved by @joe: {GOOD['reason']}"
    assert f"waived: {finding.waived}" in format_findings([finding], "text", tmp_path)


def test_a_stack_rule_is_waived_for_one_object(root: Path, tmp_path: Path) -> None:
    name = "FP006/fire/one-of-two-peers"
    (fixture,) = [f for f in fixtures(fires=True) if str(f) == name]
    policy = next(m for m in fixture.manifests() if m["kind"] == "NetworkPolicy" and m["spec"].get("ingress"))
    meant = f"NetworkPolicy/{policy['metadata']['namespace']}/{policy['metadata']['name']}"
    found = judged(root, tmp_path, one(rule="FP006", target=meant, expires=day(60)), name)
    assert {(f.id, f.severity) for f in found} == {("FP006", "note")}


def test_an_expired_waiver_blocks_again_and_says_why(root: Path, tmp_path: Path) -> None:
    found = judged(root, tmp_path, one(target=target(), expires=day(-1), granted=day(-30)))
    assert [(f.id, f.severity) for f in found] == [("FP005", "error"), ("WVR005", "error")]
    expired = found[-1].location
    assert expired and (expired.file, expired.line, expired.column) == ("policies/waivers.yaml", 7, 12)


def test_an_unused_waiver_is_an_error(root: Path, tmp_path: Path) -> None:
    found = judged(root, tmp_path, one(target="Deployment/flameplane-access/other", expires=day(60)))
    assert [(f.id, f.severity) for f in found] == [("FP005", "error"), ("WVR007", "error")]
    unused = found[-1].location
    assert unused and (unused.file, unused.line, unused.column) == ("policies/waivers.yaml", 2, 9)


def test_a_waiver_of_another_environment_is_neither_used_nor_unused(root: Path, tmp_path: Path) -> None:
    found = judged(root, tmp_path, one(target=target(), expires=day(60), environments=["prod"]))
    assert [(f.id, f.severity) for f in found] == [("FP005", "error")]


def test_two_waivers_of_one_finding(root: Path, tmp_path: Path) -> None:
    """By name and by URN: the second never applies."""
    namespace, name = target().split("/")[1:]
    urn = f"urn:pulumi:test::flameplane::*::{namespace}/{name}"
    second = one(target=urn, expires=day(60)).removeprefix("waivers:\n")
    found = judged(root, tmp_path, one(target=target(), expires=day(60)) + second)
    assert [(f.id, f.severity) for f in found] == [("FP005", "note"), ("WVR007", "error")]
    assert (found[-1].fix, found[-1].location and found[-1].location.line) == ("Keep one of the two.", 8)
    assert "the waiver in line 2 covers already" in found[-1].message


def test_a_waiver_by_urn(root: Path, tmp_path: Path) -> None:
    namespace, name = target().split("/")[1:]
    glob = f"urn:pulumi:test::flameplane::*::{namespace}/{name[:3]}*"
    (finding,) = judged(root, tmp_path, one(target=glob, expires=day(60)))
    assert finding.waived


def test_a_file_that_cannot_be_read_blocks(root: Path, tmp_path: Path) -> None:
    found = judged(root, tmp_path, "waivers: [\n")
    assert [(f.id, f.severity) for f in found] == [("FP005", "error"), ("WVR001", "error")]


def test_soon_over_is_a_warning(root: Path, tmp_path: Path) -> None:
    found = judged(root, tmp_path, one(target=target(), expires=day(3)))
    assert [(f.id, f.severity) for f in found] == [("FP005", "note"), ("WVR009", "warning")]
