"""Broken settings: each case of `broken_settings/cases` is one mistake in the environments of `broken_settings/base`.

A case is one file: edits (`@ file`, text taken out with -, put in with +; without - it is added at the end), then a
line `=`, then what `flameplane validate` has to print. Proves that each gives exactly that, whether the values come
from the file or from Pulumi, and that no damage to a settings file makes the reader raise. Proves nothing about
mistakes that are not in the corpus. After a change of words: FLAMEPLANE_UPDATE=1 rewrites the expectations; read the
difference.
"""

import os
import random
import re
import shutil
from pathlib import Path

import pytest
from test_catalog_broken import mutated

from flameplane.catalog import check_settings, load_settings
from flameplane.catalog.project import check_project
from flameplane.catalog.report import Report
from flameplane.catalog.strict import parse
from flameplane.findings import format_findings
from schemas.settings.environments import _endpoint

HERE = Path(__file__).parent
BASE, CASES = HERE / "broken_settings" / "base", HERE / "broken_settings" / "cases"
NAMES = sorted(file.stem for file in CASES.glob("*.txt"))
SEVERAL = {
    "many-at-once": 11,
    "secrets-and-other-mistakes": 3,
}  # findings of the cases that are more than one mistake


def project(folder: Path) -> Path:
    """The base: services of the other corpus, settings of this one."""
    shutil.copytree(HERE / "broken" / "base", folder)
    shutil.copytree(BASE, folder, dirs_exist_ok=True)
    return folder


def applied(name: str, folder: Path) -> tuple[str, str]:
    """Lay a case over a project; its edits and its expectation."""
    edits, _, expected = (CASES / f"{name}.txt").read_text().partition("\n=\n")
    for edit in edits.removeprefix("@ ").split("\n@ "):
        file, *lines = edit.split("\n")
        old, new = ("\n".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        target = folder / file
        text = target.read_text() if target.exists() else ""
        assert text.count(old) == 1 or not old, (name, old)
        target.write_text(text.replace(old, new) if old else f"{text}{new}\n")
    return edits, expected


def test_base_is_clean(tmp_path: Path) -> None:
    checked = check_project(project(tmp_path / "project"))
    assert checked.findings == []
    assert checked.environments == ("dev", "local", "prod", "staging")


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_expected_finding(name: str, tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    edits, expected = applied(name, root)
    findings = check_project(root).findings
    text = format_findings(findings, "text", root)
    if os.environ.get("FLAMEPLANE_UPDATE") == "1":
        (CASES / f"{name}.txt").write_text(f"{edits}\n=\n{text}")
        expected = text
    assert text == expected
    assert len(findings) == SEVERAL.get(name, 1)
    assert all(finding.fix and finding.id.startswith("SET") for finding in findings)


def test_at_least_as_many_as_promised() -> None:
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_values_from_pulumi_give_the_same_findings(name: str, tmp_path: Path) -> None:
    """`pulumi up` reads the file itself; what it hands over is refused with the words and places of `validate`."""
    root = project(tmp_path / "project")
    applied(name, root)
    for stack in ("local", "dev", "staging", "prod"):
        file = root / "stacks" / f"Pulumi.{stack}.yaml"
        report = Report("SET")
        tree = parse(file.read_bytes(), file.name, report)
        if tree is None or report.findings or not isinstance((config := tree.data().get("config")), dict):
            continue  # Pulumi cannot read it either
        values = {
            key.removeprefix("flameplane:"): value for key, value in config.items() if key.startswith("flameplane:")
        }
        expected = load_settings(root, stack)
        found = check_settings(values, file, root)
        assert found.settings == expected.settings
        told = {(f.id, f.location) for f in found.findings}
        # What Pulumi itself refuses or never hands over: other prefixes, keys beside config, default providers.
        own = {"SET020", "SET062", "SET021"} if told != {(f.id, f.location) for f in expected.findings} else set()
        assert {f for f in told if f[0] not in own} == {
            (f.id, f.location) for f in expected.findings if f.id not in own
        }


def test_values_that_no_file_has_are_refused_all_the_same(tmp_path: Path) -> None:
    """`--config` and the automation API: the finding points at the file that should hold the value."""
    root = project(tmp_path / "project")
    file = root / "stacks" / "Pulumi.prod.yaml"
    loaded = load_settings(root, "prod")
    assert loaded.settings
    values = loaded.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    values["access"] |= {"replicas": 0, "audiences": "x"}
    values["injection"]["enabled"] = "yes"
    found = check_settings(values, file, root)
    assert found.settings is None
    assert [(f.id, f.location and f.location.line) for f in found.findings] == [
        ("SET020", 1),
        ("SET022", 1),
        ("SET024", 28),
    ]


def test_a_secret_that_pulumi_has_decrypted_is_refused_and_not_printed(tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    file = root / "stacks" / "Pulumi.prod.yaml"
    loaded = load_settings(root, "prod")
    assert loaded.settings
    values = loaded.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    file.write_text(file.read_text().replace("slackSecret: notifier-slack", "slackSecret: {secure: v1:aaaa}"))
    values["regression"]["slackSecret"] = "xoxb-Not_A_Name"
    found = check_settings(values, file, root)
    assert [f.id for f in found.findings] == ["SET060"]
    assert "xoxb" not in format_findings(found.findings, "json", root)


def test_damaged_settings_give_findings_and_never_raise(tmp_path: Path) -> None:
    """Bytes damaged at random; seeded, so that it repeats. Whatever is read must be settings or have a finding."""
    chance = random.Random(20261122)
    root = project(tmp_path / "project")
    findings = 0
    for _ in range(400):
        file = root / "stacks" / f"Pulumi.{chance.choice(('local', 'dev', 'staging', 'prod'))}.yaml"
        whole = file.read_bytes()
        data = mutated(whole, chance)
        file.write_bytes(data)
        loaded = load_settings(root, file.name.split(".")[1])
        text = format_findings(loaded.findings, "text", root)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), data
        assert "Traceback" not in text
        for finding in loaded.findings:
            assert finding.fix
            assert finding.location
            assert 1 <= finding.location.line <= max(1, len(data.decode(errors="replace").splitlines())), (
                finding,
                data,
            )
        assert bool(loaded.findings) == (loaded.settings is None), data
        findings += bool(loaded.findings)
        file.write_bytes(whole)
    assert findings > 250


SPARES = [
    *(0, -1, 0.5, 10**12, True, False, "", "x", "prod", "dev", "localhost", "10.0.0.0/8", "1.30"),
    *([], ["x"], ["x", "x"], [[]], {}, {"mode": "own"}, {"name": 1}, {"a": {"b": []}}),
]


def test_replaced_values_give_findings_and_never_raise(tmp_path: Path) -> None:
    """Well-formed YAML with values of other types and places, which is what stand-ins have to survive."""
    chance = random.Random(42)
    root = project(tmp_path / "project")
    refused = 0
    for _ in range(400):
        stack = chance.choice(("local", "dev", "staging", "prod"))
        file = root / "stacks" / f"Pulumi.{stack}.yaml"
        tree = parse(file.read_bytes(), file.name, Report("SET"))
        assert tree
        values = {k.removeprefix("flameplane:"): v for k, v in tree.data()["config"].items() if k[:11] == "flameplane:"}
        for _ in range(chance.randint(1, 5)):
            holder = values
            while (below := [v for v in holder.values() if isinstance(v, dict) and v]) and chance.random() < 0.7:
                holder = chance.choice(below)
            key = chance.choice([*holder, "extra"])
            if chance.random() < 0.2:
                holder.pop(key, None)
            else:
                holder[key] = chance.choice(SPARES)
        loaded = check_settings(values, file, root)
        assert bool(loaded.findings) == (loaded.settings is None), values
        refused += bool(loaded.findings)
    assert refused > 300


@pytest.mark.parametrize(
    ("issuer", "endpoint", "fits"),
    [
        ("id.example.com", "id.example.com", True),
        ("example.okta.com", "login.example.okta.com", True),
        ("accounts.google.com", "oauth2.googleapis.com", True),
        ("accounts.google.com", "oauth2xgoogleapis.com", False),
        ("sts.windows.net", "login.microsoftonline.com", True),
        ("cognito-idp.eu-west-1.amazonaws.com", "acme.auth.eu-west-1.amazoncognito.com", True),
        ("cognito-idp.eu-west-1.amazonaws.com", "acme.auth.us-east-1.amazoncognito.com", False),
        ("id.example.com", "oauth2.googleapis.com", False),
        ("id.example.com", "id.example.com.evil.com", False),
    ],
)
def test_endpoints_belong_to_their_issuer(issuer: str, endpoint: str, fits: bool) -> None:
    assert _endpoint(endpoint, issuer) is fits
