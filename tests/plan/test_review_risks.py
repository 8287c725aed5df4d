"""Every risky change of a declared file is one that a reviewer is told to look at first, in plain words.

One row per kind of change, made in a copy of the project's declared files. Proves that the line is there and says what
happens; that no line comes without a change; and that every setting is either described or harmless on purpose.
"""

import shutil
from datetime import date
from pathlib import Path

import pytest

from flameplane.catalog import load, load_settings
from flameplane.plan.recording import Recording
from flameplane.plan.values import walk
from flameplane.review.base import Base
from flameplane.review.fields import FieldChange
from flameplane.review.review import Side, review
from flameplane.review.settings_risks import of_settings
from schemas.settings import Settings

TODAY = date(2026, 11, 22)
ORG, TEAM = "services/_org.yaml", "services/storefront/_team.yaml"
CART, BFF = "services/storefront/cart/service.yaml", "services/storefront/web-bff/service.yaml"
PROD, LOCK, WAIVERS = "stacks/Pulumi.prod.yaml", "images.lock", "policies/waivers.yaml"
DIGEST = "sha256:" + "ab" * 32
EXPORT, GRANT = (
    "exports/g1.yaml",
    """\
apiVersion: flameplane.dev/v1
kind: ExportGrant
metadata: {name: g1, granted: "2026-11-20T09:00:00Z"}
spec:
  requester: jane@example.com
  approver: "@acme/platform"
  team: payments
  service: checkout
  format: pprof
  purpose: "Postmortem 4711: the vendor looks at a lock"
  window: {from: "2026-11-20T08:00:00Z", to: "2026-11-20T08:30:00Z"}
  expires: "2026-11-23T09:00:00Z"
""",
)
WAIVER = (
    'waivers:\n  - {rule: FP014, target: team/catalog, owner: "@a", approver: "@b", reason: because it is so, '
    'expires: "%s"}\n'
)

# What is done: file, old text, new text; what the line has to say.
ROWS: dict[str, tuple[str, str, str, str]] = {
    "owner changed": (TEAM, "@acme/storefront", "@acme/others", "@acme/others reviews its files from now on"),
    "owner of the organisation": (
        ORG,
        '"@acme/platform"',
        '"@acme/platform"\n    - "@jane"',
        "@jane reviews its files",
    ),
    "group of readers": (
        TEAM,
        "  groups:\n",
        "  groups:\n    - all-staff\n",
        "members of all-staff may read the team's",
    ),
    "platform group": (
        ORG,
        "  platformGroups:\n",
        "  platformGroups:\n    - everybody\n",
        "members of everybody run the",
    ),
    "retention lowered": (TEAM, "spec:\n", "spec:\n  retention: {downsampledDays: 40}\n", "deleted for good"),
    "retention raised": (
        TEAM,
        "spec:\n",
        "spec:\n  retention: {fineDays: 60}\n",
        "fine profiles are kept 30 → 60 days",
    ),
    "rate up": (
        "services/storefront/promotions/service.yaml",
        "sampleRateHz: 19",
        "sampleRateHz: 99",
        "19 → 99: costs",
    ),
    "rate off": (ORG, "sampleRateHz: 99\n", "sampleRateHz: 0\n", "profiling is switched off (for "),
    "gate": (BFF, "mode: enforce", "mode: warn", "a regression no longer fails a deploy"),
    "budget of a service": (
        CART,
        "  workload:",
        "  budget: {monthlyUsd: 90}\n  workload:",
        "monthlyUsd 40 → 90: more may",
    ),
    "budget of a team": (TEAM, "spec:\n", "spec:\n  monthlyUsd: 900\n", "monthlyUsd 500 → 900: more may be spent"),
    "budget of everybody": (ORG, "monthlyUsd: 4000", "monthlyUsd: 9000", "monthlyUsd 4000 → 9000: more may"),
    "limit": (ORG, "maxStoredGb: 10", "maxStoredGb: 50", "the limit maxStoredGb 10 → 50: every team"),
    "mode of the gate allowed": (ORG, "[enforce, warn]", '[enforce, warn, "off"]', "the limit gateModes gets off"),
    "host of repositories": (ORG, "    - git.example.com\n", "    - git.example.com\n    - x.example\n", "x.example"),
    "undeclared pods sampled more": (ORG, "sampleRateHz: 19\n", "sampleRateHz: 49\n", "sampleRateHz 19 → 49: costs"),
    "undeclared pods not sampled": (
        ORG,
        "  undeclared:\n    team: platform\n    sampleRateHz: 19\n",
        "",
        "whose pods no service declares, their profiles go there",
    ),
    "namespace sampled": (ORG, "    - vault # keys in memory\n", "", "processes in vault are sampled now"),
    "repository": (CART, "com/acme/cart\nspec", "com/acme/other\nspec", "CI jobs of that repository may ask the gate"),
    "pods": (CART, "namespace: storefront", "namespace: payments", "other pods are profiled as this service"),
    "fewer replicas of Grafana": (
        PROD,
        "      replicas: 2\n",
        "      replicas: 1\n",
        "correlation.grafana.replicas 2 → 1",
    ),
    "account": (PROD, "o-a1b2c3d4e5", "o-zzzzzzzzzz", "principals of another organisation pass the perimeter"),
    "network": (PROD, "vpc-0a1b2c3d4e5f60738", "vpc-0a1b2c3d4e5f60739", "from which network profiles"),
    "hosts": (PROD, "egressHosts: [slack.com,", "egressHosts: [slack.com, paste.example,", "hosts of the internet"),
    "buckets of others": (PROD, "readableBuckets: [", "readableBuckets: [other-bucket, ", "buckets of others"),
    "storage": (PROD, "bucket: acme-flameplane-profiles-prod", "bucket: acme-other-prod", "is not moved"),
    "issuer": (
        PROD,
        "issuer: https://id.example.com/realms/acme\n",
        "issuer: https://id.example.com/x\n",
        "whose tokens",
    ),
    "CI issuer": (PROD, "trustedIssuers: [", "trustedIssuers: [https://ci.example.net, ", "whose CI jobs may ask"),
    "TLS": (PROD, "issuer: flameplane-backend-ca", "issuer: other-ca", "how the gateway and the backend know each"),
    "registry": (PROD, "registry.example.com/flameplane", "registry.example.net/x", "every image comes from another"),
    "roles": (
        PROD,
        "auditorRoleArns: [",
        "auditorRoleArns: [arn:aws:iam::444455556666:role/x, ",
        "who reads audit records",
    ),
    "lock of audit records": (PROD, "days: 400", "days: 365", "cloud.audit.days 400 → 365: how long"),
    "bill": (PROD, "monthlyUsd: 1500.0", "monthlyUsd: 9500.0", "cloud.budget.monthlyUsd 1500 → 9500"),
    "image": (LOCK, '"repository": "gateway",', f'"repository": "gateway", "digest": "{DIGEST}",', "so that it runs"),
    "waiver": (WAIVERS, "waivers: []\n", WAIVER % "2026-12-31", "FP014 is waived at team/catalog until 2026-12-31"),
    "rules": ("policies/rules/x.py", "", "X = 1\n", "policies/rules/x.py: the rules that judge this change"),
    "export": (
        EXPORT,
        "",
        GRANT,
        "export g1: jane may take one pprof of checkout (payments) out of the platform, "
        "2026-11-20T08:00:00Z to 2026-11-20T08:30:00Z, until 2026-11-23T09:00:00Z; @acme/platform answers for it: "
        "Postmortem 4711: the vendor looks at a lock (exports/g1.yaml:1)",
    ),
}


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The declared files alone."""
    folder = tmp_path / "after"
    for name in ("services", "stacks"):
        shutil.copytree(root / name, folder / name)
    for name in (LOCK, WAIVERS):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, folder / name)
    shutil.copytree(folder, tmp_path / "before")
    return folder


def first(after: Path) -> list[str]:
    """What the review of a change of the copy says to look at first."""
    sides = []
    for folder in (after.parent / "before", after):
        loaded, settings = load(folder), load_settings(folder, "prod", alone=True)
        # What the rules between settings refuse is risky all the same: the values are compared.
        assert loaded.catalog, loaded.findings
        none = Recording("flameplane", "prod", "organization", {}, ())
        sides.append(Side(folder, loaded, settings.settings, settings.sources, none, []))
    return list(review(Base("main", "ab" * 20, sides[0].root), *sides, "prod", TODAY).openings)


def edited(folder: Path, file: str, old: str, new: str) -> None:
    """Replace text in a file, or make the file."""
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    text = target.read_text() if target.exists() else ""
    assert not old or text.count(old) == 1, (file, old, text.count(old))
    target.write_text(text.replace(old, new) if old else new)


@pytest.mark.parametrize("row", ROWS)
def test_is_looked_at_first(row: str, copy: Path) -> None:
    file, old, new, words = ROWS[row]
    edited(copy, file, old, new)
    found = first(copy)
    assert any(words in line for line in found), found
    assert len(found) < 8


def test_a_waiver_that_is_extended(copy: Path) -> None:
    edited(copy.parent / "before", WAIVERS, "waivers: []\n", WAIVER % "2026-12-31")
    edited(copy, WAIVERS, "waivers: []\n", WAIVER % "2027-01-31")
    (line,) = first(copy)
    assert line.startswith(
        "waiver: FP014 at team/catalog is extended from 2026-12-31 to 2027-01-31 (policies/waivers.yaml:"
    )


def test_an_image_with_another_digest(copy: Path) -> None:
    for folder, digest in ((copy.parent / "before", DIGEST), (copy, DIGEST.replace("ab", "cd"))):
        edited(folder, LOCK, '"repository": "gateway",', f'"repository": "gateway", "digest": "{digest}",')
    assert first(copy) == ["image gateway: another digest, so that other code runs"]


def test_an_agent_that_was_not_there(copy: Path) -> None:
    edited(copy.parent / "before", BFF, "types: [cpu, alloc, wall]", "types: [cpu]")
    assert [line.partition(" (")[0] for line in first(copy)] == [
        "service web-bff: gets alloc profiles, which are taken inside the process",
        "service web-bff: gets wall profiles, which are taken inside the process",
        "service web-bff: an agent for node goes into its pods when they are next started",
    ]


def test_a_grant_that_is_widened_and_one_that_goes(copy: Path) -> None:
    edited(copy.parent / "before", EXPORT, "", GRANT)
    edited(copy, EXPORT, "", GRANT.replace("08:30", "08:50"))
    (line,) = first(copy)
    assert line.startswith("export g1 is changed: jane may take one pprof of checkout (payments)")
    assert "to 2026-11-20T08:50:00Z" in line
    (copy / EXPORT).unlink()
    assert first(copy) == []


def test_nothing_changed(copy: Path) -> None:
    assert first(copy) == []


# Settings whose change no reviewer has to look at first, since other lines tell it or nothing depends on it.
HARMLESS = {
    *("environment", "collection.baseRateHz", "injection.apiVersion", "alerts.runbookUrl", "backend.writes.tokens"),
    *("cloud.provider",),
}


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_every_setting_is_described(stack: str, root: Path) -> None:
    """A value that is taken out of, or put into, any setting has words, or is harmless on purpose."""
    settings = load_settings(root, stack).settings
    assert isinstance(settings, Settings)
    missing = set()
    for path, _ in walk(settings.model_dump(mode="json", by_alias=True)):
        steps = tuple(step.partition("[")[0] for step in path.split("."))
        if not of_settings(FieldChange(steps, 2, 1)):
            missing.add(".".join(steps))
    assert {name for name in missing if not name.startswith("cloud.tags")} <= HARMLESS
