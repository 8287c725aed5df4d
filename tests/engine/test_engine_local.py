"""`flameplane local up` as a user runs it where pulumi is: what it removes unasked, and what `--force-conflicts` does.

On a copy of the project and the real local cluster; the state lies in the cache, as it does for users. In order.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workbench import LEFT_OUT

from flameplane.local import engine
from flameplane.local.kubectl import Kubectl
from local import cache

ENTRY = "import sys; sys.argv[0] = 'flameplane'; from flameplane.cli import main; main()"
OBJECT = ("configmap", "catalog-organisation", "--namespace=flameplane-system")
Up = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory, kubectl: Kubectl) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("local") / "project"
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    yield folder
    found = engine.find()
    assert found
    stack = engine.Engine(found, folder, cache.root(), kubectl.kubeconfig)
    stack._run(["destroy", "--yes", "--skip-preview", "--stack=local"], print)
    engine.forget(cache.root())


@pytest.fixture(scope="module")
def up(project: Path) -> Up:
    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-c", ENTRY, "local", "up", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(project)}
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_field_of_somebody_else_is_left_until_it_is_forced(up: Up, kubectl: Kubectl) -> None:
    code, said = up()
    assert code == 0, said
    assert "with `pulumi up`" in said
    patch = '{"data": {"organisation.yaml": "changed"}}'
    edit = ("patch", *OBJECT, "--field-manager=somebody", "--type=merge", f"--patch={patch}")
    kubectl.run(*edit, doing="change a field")

    def stands() -> str:
        (found,) = kubectl.get(*OBJECT, doing="look at the field")
        return str(found["data"]["organisation.yaml"])

    assert up()[0] == 0
    assert stands() == "changed"
    code, said = up("--force-conflicts")
    assert code == 0, said
    assert stands().startswith("apiVersion: flameplane.dev/v1\n")


def test_services_are_not_removed_unasked(up: Up, project: Path, kubectl: Kubectl) -> None:
    settings = (project / "stacks/Pulumi.local.yaml").read_bytes()
    for service in sorted((project / "services").glob("*/*/"))[1:]:
        shutil.rmtree(service)

    def catalogued() -> int:
        found = kubectl.get("configmaps", "--namespace=flameplane-system", doing="count the declared services")
        return sum(len(c["data"]) - 1 for c in found if c["metadata"]["name"].startswith("catalog-"))

    before = catalogued()
    code, said = up()
    assert code == 3
    assert "[LOC004]" in said
    assert f"{before - 1} of {before} services" in said
    assert catalogued() == before > 5
    code, said = up("--yes-prune")
    assert code == 0, said
    assert catalogued() == 1
    assert (project / "stacks/Pulumi.local.yaml").read_bytes() == settings
