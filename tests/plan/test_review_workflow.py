"""The workflow that reviews pull requests: valid, pinned, and without a way to a secret for what it reviews.

actionlint is built from source (Go module, checked by go.sum) into the cache. What GitHub does with it is not run here.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flameplane.catalog import stacks
from local import LocalError, golang

WORKFLOWS = ".github/workflows"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint"


@pytest.fixture(scope="module")
def workflow(root: Path) -> dict[str, Any]:
    """The workflow as YAML; PyYAML reads the key `on` as true."""
    document = yaml.safe_load((root / WORKFLOWS / "platform-review.yml").read_text())
    document["on"] = document.pop(True)
    return dict(document)


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a job."""
    return list(job["steps"])


def test_actionlint(root: Path, tmp_path: Path) -> None:
    """Every workflow passes, and a broken one does not."""
    try:
        program = golang.build(root / "tests" / "tools", ACTIONLINT, "actionlint")
    except LocalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT RUN: actionlint cannot be built: {str(error).splitlines()[0]}")
    files = sorted((root / WORKFLOWS).glob("*.yml"))
    good = subprocess.run([program, *files], cwd=root, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, "")
    broken = tmp_path / "broken.yml"
    broken.write_text(files[0].read_text().replace("runs-on: ubuntu-24.04", "runs-on: ${{ github.nothing }}"))
    assert subprocess.run([program, broken], cwd=root, capture_output=True, check=False).returncode == 1


def test_published_schema(root: Path) -> None:
    """The schema of GitHub workflows that check-jsonschema carries."""
    command = [root / ".venv/bin/check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *(root / WORKFLOWS).glob("*.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_action_is_pinned(workflow: dict[str, Any], root: Path) -> None:
    """By commit, with the version for people beside it."""
    text = (root / WORKFLOWS / "platform-review.yml").read_text()
    uses = re.findall(r"uses: (.*)", text)
    assert len(uses) == sum("uses" in step for job in workflow["jobs"].values() for step in steps(job)) > 5
    for use in uses:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_no_secret_is_in_reach_of_a_pull_request(workflow: dict[str, Any]) -> None:
    """Not of a fork's at all; of our own, only jobs that run nothing of it may write, and no job but one may log in."""
    assert list(workflow["on"]) == ["pull_request"]
    assert workflow["permissions"] == {}
    assert "secrets." not in yaml.safe_dump(workflow)
    writes = {
        name: sorted(k for k, v in job["permissions"].items() if v == "write") for name, job in workflow["jobs"].items()
    }
    assert writes == {
        "plan": [],
        "comment": ["pull-requests"],
        "sarif": ["security-events"],
        "preview": ["id-token"],
    }
    for job in workflow["jobs"].values():
        for step in steps(job):
            if "checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    # Jobs that may write run no program of the pull request.
    (checkout,) = (s for s in steps(workflow["jobs"]["comment"]) if "checkout@" in s.get("uses", ""))
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert not any("run" in step for step in steps(workflow["jobs"]["sarif"]))
    for name in ("sarif", "preview"):
        assert "head.repo.full_name == github.repository" in workflow["jobs"][name]["if"]


def test_no_expression_is_pasted_into_a_shell(workflow: dict[str, Any]) -> None:
    """Values reach scripts as environment variables: a branch's name cannot become a command."""
    scripts = [step["run"] for job in workflow["jobs"].values() for step in steps(job) if "run" in step]
    assert len(scripts) > 4
    assert not any("${{" in script for script in scripts)


def test_every_environment_is_reviewed(workflow: dict[str, Any], root: Path) -> None:
    known = stacks(root)
    (post,) = (s["run"] for s in steps(workflow["jobs"]["comment"]) if "review.post" in s.get("run", ""))
    assert sorted(re.findall(r"review/plan-(\w+)\.md", post)) == known
    assert post.index("plan-prod.md") < min(post.index(f"plan-{s}.md") for s in known if s != "prod")
    assert sorted(workflow["jobs"]["sarif"]["strategy"]["matrix"]["stack"]) == known
    assert workflow["concurrency"]["cancel-in-progress"] is True


def test_what_is_deleted_or_fails_is_told(workflow: dict[str, Any], tmp_path: Path) -> None:
    """The real step: an environment of the base alone is planned too, and a plan that says nothing gets a page."""
    (script,) = (s["run"] for s in steps(workflow["jobs"]["plan"]) if "--base" in s.get("run", ""))
    program = tmp_path / ".venv" / "bin" / "flameplane"
    for folder in (program.parent, tmp_path / "stacks"):
        folder.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$3" >> planned\ntest "$3" = dev && echo fine > review/plan-dev.md\n')
    program.chmod(0o755)
    for stack in ("dev", "prod"):
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        (*who, "commit", "-qm", "a"),
        ("rm", "-q", "stacks/Pulumi.prod.yaml"),
        (*who, "commit", "-qm", "b"),
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "planned").read_text().split() == ["dev", "prod"]
    assert (tmp_path / "review/plan-dev.md").read_text() == "fine\n"
    assert "Flameplane · prod: ❌ does not pass" in (tmp_path / "review/plan-prod.md").read_text()
