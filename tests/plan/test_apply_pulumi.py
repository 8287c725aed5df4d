"""`flameplane local up` with pulumi: what it is called with, and what is judged before anything changes.

A program in place of pulumi writes down its calls. The real one runs in tests/engine/test_engine_local.py.
"""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from flameplane.local import platform, secrets, target
from flameplane.local.choice import Choice
from flameplane.local.engine import Engine
from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.problem import Problem
from flameplane.local.steps import Say

PULUMI = """\
#!/bin/sh
echo "$PULUMI_BACKEND_URL $PULUMI_K8S_ENABLE_PATCH_FORCE| $FLAMEPLANE_SERVICES| $@" >> {folder}/calls
echo 'encryptionsalt: v1:abc=' >> {folder}/stacks/Pulumi.local.yaml  # as the real one does
case "$*" in *export*) cat {folder}/state ;; esac
"""


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}}


def resource(inputs: dict[str, Any], kind: str = "kubernetes:core/v1:ConfigMap", **more: Any) -> dict[str, Any]:
    return {"urn": "u", "custom": True, "type": kind, "inputs": inputs, **more}


class Pulumi:
    """The project with such a pulumi, whose state holds ``resources``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stacks").mkdir()
        self.settings = folder / "stacks/Pulumi.local.yaml"
        self.settings.write_text("config: {}\n")
        program = folder / "pulumi"
        program.write_text(PULUMI.format(folder=folder))
        program.chmod(0o755)
        self.engine = Engine(program, folder, folder / "cache", folder / "kubeconfig")
        self.holds()

    def holds(self, *resources: dict[str, Any]) -> None:
        deployment = {"manifest": {}, **({"resources": resources} if resources else {})}
        (self.folder / "state").write_text(json.dumps({"version": 3, "deployment": deployment}))

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return [line.rpartition("| ")[2] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def pulumi(tmp_path: Path) -> Pulumi:
    return Pulumi(tmp_path)


def test_the_passphrase_is_the_users_alone_and_the_settings_stay_as_they_were(pulumi: Pulumi, tmp_path: Path) -> None:
    said: list[str] = []
    pulumi.engine.select("one", said.append)
    pulumi.engine.members()
    pulumi.engine.up(said.append)
    assert pulumi.settings.read_text() == "config: {}\n"
    passphrase = tmp_path / "cache/pulumi-state/passphrase"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    select, _, up = (tmp_path / "calls").read_text().splitlines()
    assert select.startswith(f"file://{tmp_path}/cache/pulumi-state | | stack select --create local")
    assert "--policy-pack=policies" in up
    assert "--non-interactive" in up
    first = passphrase.read_text()
    assert first not in (tmp_path / "calls").read_text()

    pulumi.engine.select("one", said.append)
    assert passphrase.read_text() == first
    pulumi.engine.select("another", said.append)  # its state would say that everything is there already
    assert passphrase.read_text() != first


def test_an_edit_of_the_settings_during_a_run_stays(pulumi: Pulumi) -> None:
    program = pulumi.engine.pulumi
    program.write_text(program.read_text() + f"sed -i 's/config: .*/config: {{edited: 1}}/' {pulumi.settings}\n")
    pulumi.engine.up(print)
    assert pulumi.settings.read_text() == "config: {edited: 1}\n"


def test_the_state_tells_what_is_there(pulumi: Pulumi) -> None:
    assert pulumi.engine.members() == {}  # a new stack
    pulumi.holds(
        {"urn": "u", "type": "pulumi:pulumi:Stack", "custom": False},
        resource({"kubeconfig": "k"}, "pulumi:providers:kubernetes"),
        {"urn": "u", "type": "flameplane:foundation:Foundation", "custom": False},
        resource(config_map("c")),
        resource(config_map("old"), delete=True),  # replaced already; only its deletion is left to do
    )
    assert [str(k) for k in pulumi.engine.members()] == ["ConfigMap a/c"]


def test_a_state_that_cannot_be_read_stops_with_what_pulumi_said(pulumi: Pulumi) -> None:
    pulumi.engine.pulumi.write_text("#!/bin/sh\necho 'error: incorrect passphrase' >&2\nexit 255\n")
    with pytest.raises(Problem) as raised:
        pulumi.engine.members()
    assert raised.value.ident == "LOC009"
    assert raised.value.details == ("error: incorrect passphrase",)


def test_conflicts_are_forced_only_when_asked(pulumi: Pulumi) -> None:
    pulumi.engine.up(print)
    pulumi.engine.up(print, force=True)
    plain, forced = (pulumi.folder / "calls").read_text().splitlines()
    assert "--refresh" not in plain
    assert "true" not in plain.partition("|")[0]
    assert "--refresh" in forced
    assert forced.partition("|")[0].endswith(" true")


def test_the_program_gets_the_same_services_wherever_it_runs(
    pulumi: Pulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.setenv("FLAMEPLANE_SERVICES", "other")
    Engine(pulumi.engine.pulumi, tmp_path, tmp_path / "cache", tmp_path / "kubeconfig").up(print)
    assert f"| {tmp_path}/deep/other|" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("yes_prune", [False, True])
def test_too_much_is_not_removed_with_pulumi_either(
    pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch, root: Path, yes_prune: bool
) -> None:
    """From the decision of `local up` down to the calls; only the cluster is left out."""
    objects = [config_map(f"c{i}") for i in range(10)]
    pulumi.holds(*(resource(item) for item in objects))
    kubectl = Kubectl(Path("/nowhere"), Path("/nowhere"), "here", Path("/nowhere"))
    monkeypatch.setattr(target, "identity", lambda _: "one")
    monkeypatch.setattr(Kubectl, "get", lambda *_, **__: [{"kind": "Namespace"}])
    monkeypatch.setattr(secrets, "ensure", lambda *_: False)
    settings = platform.check.settings(root, "local")
    options = platform.Options(Choice(), yes_prune=yes_prune, force_conflicts=True)
    say: Say = print

    def run() -> None:
        platform._apply_with_pulumi(pulumi.engine, kubectl, objects[5:], settings, options, say)

    if yes_prune:
        run()
    else:
        with pytest.raises(Problem) as raised:
            run()
        assert raised.value.ident == "LOC004"
        assert raised.value.message.startswith("5 of 10 objects would be removed")
    ups = [call for call in pulumi.calls if call.startswith("up ")]
    assert ["--refresh" in call for call in ups] == ([True] if yes_prune else [])
