"""Options that no policy sees (PLN013), on recordings of a few resources and on the environments themselves.

Cannot prove what the engine does with an option; it proves that `plan` speaks of each where it was not reviewed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flameplane.findings import Finding
from flameplane.plan import Recording, Resource, record
from flameplane.plan.options import check_options

PLATFORM = Resource(
    "urn:pulumi:prod::flameplane::flameplane:index:Platform::p", "flameplane:index:Platform", "p", False, {}
)
BUCKET, ROLE = "aws:s3/bucket:Bucket", "aws:iam/role:Role"


def found(kind: str, **options: Any) -> list[Finding]:
    urn = f"urn:pulumi:prod::flameplane::flameplane:index:Platform${kind}::x"
    resource = replace(Resource(urn, kind, "x", True, {}, parent=PLATFORM.urn), **options)
    return check_options(Recording("flameplane", "prod", "organization", {}, (PLATFORM, resource)), Path())


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (ROLE, {"retain_on_delete": True}, "stays when it is declared no more"),
        (BUCKET, {}, "is deleted when it is declared no more"),
        (ROLE, {"deleted_with": PLATFORM.urn}, "is taken for deleted when p is"),
        (ROLE, {"replace_with": (PLATFORM.urn,)}, "is made anew when p is"),
        (ROLE, {"hide_diffs": ("policy",)}, "hides in previews how policy changes"),
        (ROLE, {"replace_on_changes": ("tags", "path")}, "is made anew when tags, path changes"),
    ],
)
def test_each_option_is_one_finding(kind: str, options: dict[str, Any], said: str) -> None:
    (finding,) = found(kind, **options)
    assert (finding.id, finding.severity) == ("PLN013", "error")
    assert said in finding.message


def test_what_was_reviewed_is_none() -> None:
    assert found(BUCKET, retain_on_delete=True) == found(ROLE) == []


def test_what_a_program_declares_beside_the_platform_is_its_own() -> None:
    own = Resource(f"urn:pulumi:prod::flameplane::{ROLE}::x", ROLE, "x", True, {}, retain_on_delete=True)
    assert check_options(Recording("flameplane", "prod", "organization", {}, (own,)), Path()) == []


@pytest.mark.parametrize("stack", ["local", "prod"])
def test_environments_have_none(root: Path, stack: str) -> None:
    recording = record(root, stack)
    assert recording.resources
    assert check_options(recording, root) == []
