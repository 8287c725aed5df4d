"""The ConfigMap of grants: what the component makes of exports/, and that the policy pack holds it to that.

Proves that the object is the committed one, which a test of the gateway's own reader reads
(dataplane/internal/settings), and that each value that is changed in it, and each grant that comes or goes, is found.
Cannot prove what the gateway does with a grant: tests of dataplane/internal/door do that.
After a change that is meant: FLAMEPLANE_UPDATE=1 writes the committed object anew.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from environments import Environment
from mutations import Mutation, mutations
from test_mutations import Detector, stack_of
from variants import Project

from flameplane import catalog
from flameplane.plan import manifest, record
from flameplane.plan.render import contents
from policies import resources
from schemas.images import ImagesLock

GOLDEN = Path(__file__).parent / "golden_exports"
FILE = "flameplane-access/configmap-grants.yaml"
GRANTS = ("ConfigMap", "grants")


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with grants, every image locked."""
    made = Project(root, tmp_path_factory.mktemp("project"), locked=True)
    shutil.copytree(GOLDEN / "exports", made.folder / "exports")
    return made


@pytest.fixture(scope="module")
def environment(root: Path, project: Project) -> Iterator[Environment]:
    """Its prod; the pack looks for exports/ beside the services tree that this process names."""
    recording = record(project.folder, "prod")
    settings, declared = catalog.load_settings(root, "prod").settings, catalog.load(project.folder).catalog
    assert settings
    assert declared
    lock = ImagesLock.model_validate_json((project.folder / "images.lock").read_text())
    manifests = tuple(m for resource in recording.resources if (m := manifest(resource)))
    beside = [
        m
        for r in recording.resources
        if r.custom and not r.type.startswith("kubernetes:")
        if (m := resources.manifest(r.type, r.name, r.inputs, protect=r.protect))
    ]
    beside.append(resources.settings("prod", recording.config) or {})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLAMEPLANE_SERVICES", str(project.folder / "services"))
        yield Environment("prod with grants", manifests, settings, declared, lock, tuple(beside))


def test_the_object_is_the_committed_one(project: Project) -> None:
    """The same in every environment: there is one exports/."""
    committed = GOLDEN / "configmap-grants.yaml"
    for stack in ("local", "prod"):
        rendered = contents(record(project.folder, stack), project.folder)[FILE]
        if os.environ.get("FLAMEPLANE_UPDATE") == "1":
            committed.write_text(rendered)
        assert rendered == committed.read_text()


def test_it_says_what_the_files_say() -> None:
    data = yaml.safe_load((GOLDEN / "configmap-grants.yaml").read_text())["data"]
    files = {file.name: yaml.safe_load(file.read_text()) for file in (GOLDEN / "exports").iterdir()}
    assert {name: yaml.safe_load(text) for name, text in data.items()} == files
    assert len(files) == 2


def grants_of(environment: Environment) -> dict[str, Any]:
    (found,) = (m for m in environment.manifests if (m["kind"], m["metadata"]["name"]) == GRANTS)
    return found


def test_nothing_is_found_where_nothing_changed(environment: Environment) -> None:
    """Grants that have expired meanwhile included: time alone breaks no deploy."""
    detector, found = Detector(stack_of(environment)), grants_of(environment)
    assert not [message for _, message in detector.known if "grant" in message]
    assert detector.notices(Mutation(found, dict(found), "the same")) is None


def test_every_change_of_it_is_found(environment: Environment) -> None:
    detector, found = Detector(stack_of(environment)), grants_of(environment)
    changed = list(mutations(found))
    changed += [
        Mutation(found, {**found, "data": {**found["data"], "more.yaml": text}}, f"one more grant, as {name}")
        for name, text in found["data"].items()
    ]
    for name in found["data"]:
        less = {key: text for key, text in found["data"].items() if key != name}
        changed.append(Mutation(found, {**found, "data": less}, f"without {name}"))
    noticed = {str(mutation): detector.notices(mutation) for mutation in changed}
    assert [what for what, rule in noticed.items() if rule is None] == []
    assert {"FP043", "FP053"} <= set(noticed.values())
    assert len(noticed) > 50
