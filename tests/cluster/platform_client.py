"""What the tests of the platform share: `flameplane local` as a user runs it, and kubectl on the same cluster."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flameplane.local import applyset
from flameplane.local.kubectl import Kubectl, Object, Result
from local.cluster.layout import ClusterInfo
from schemas.allowed import BACKEND_NAMESPACE, BREAK_GLASS_GROUP

ENTRY = "import sys; sys.argv[0] = 'flameplane'; from flameplane.cli import main; main()"

BROKEN_GLASS = ("--as=jane", f"--as-group={BREAK_GLASS_GROUP}", "--as-group=system:masters")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    text: str


class Platform:
    """The platform on one cluster."""

    def __init__(self, root: Path, cluster: ClusterInfo, scratch: Path, pyroscope: Path | None = None) -> None:
        self.root, self.pyroscope = root, pyroscope
        self.kubectl = Kubectl(cluster.kubectl, cluster.kubeconfig, cluster.context, scratch / "discovery")

    def local(self, *arguments: str, services: Path | None = None) -> Done:
        """`flameplane local ...`; ``services`` stands in for the project's services/."""
        # An existing cluster is reached by the kubectl on PATH.
        path = os.pathsep.join((str(self.kubectl.binary.parent), os.environ["PATH"]))
        environment = {**os.environ, "PATH": path}
        environment.pop("FLAMEPLANE_PYROSCOPE", None)  # given to other tests, and refused beside devstore
        if self.pyroscope:
            environment["FLAMEPLANE_PYROSCOPE"] = str(self.pyroscope)
        if services:
            environment["FLAMEPLANE_SERVICES"] = str(services)
        done = subprocess.run(
            [sys.executable, "-c", ENTRY, "local", *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def up(self, *arguments: str, services: Path | None = None) -> str:
        """`flameplane local up`, which has to succeed; what it said."""
        done = self.local("up", "--without-pulumi", *arguments, services=services)
        assert done.code == 0, done.text
        return done.text

    def members(self) -> dict[str, Object]:
        """Every object of the platform, by `Kind namespace/name`."""
        members = applyset.members(self.kubectl, applyset.parents(self.kubectl))
        return {str(key): item for key, item in members.items()}

    def versions(self) -> dict[str, tuple[str, Any]]:
        """What changes when an object is written: its identity, and its generation or, without one, its version.

        Controllers write the status of workloads all the time, which changes the version but not the generation.
        """
        facts = {}
        for name, item in self.members().items():
            metadata = item["metadata"]
            facts[name] = (metadata["uid"], metadata.get("generation") or metadata["resourceVersion"])
        return facts

    def call(self, *arguments: str, objects: Sequence[Object] | None = None) -> Result:
        """kubectl, which may fail."""
        return self.kubectl.call(*arguments, objects=objects)

    def get(self, *arguments: str) -> Object:
        """One object, which has to be there."""
        (found,) = self.kubectl.get(*arguments, doing=f"get {' '.join(arguments)}")
        return found

    def try_create(self, item: Object) -> Result:
        """Create an object as a dry run with all of admission; the output is the object as it would be stored."""
        return self.call("create", "--dry-run=server", "--validate=strict", "--output=json", objects=[item])

    def created(self, item: Object) -> Object:
        """The object as it would be stored; it has to be accepted."""
        result = self.try_create(item)
        assert result.ok, result.err
        stored: Object = json.loads(result.out)
        return stored["items"][0] if stored["kind"] == "List" else stored

    def replace_raw(self, path: str, item: Object, *arguments: str) -> Result:
        """PUT an object to a path of the API, which may fail."""
        command = [*self.kubectl.command, *arguments, "replace", f"--raw={path}", "--filename=-"]
        done = subprocess.run(command, input=json.dumps(item), capture_output=True, text=True, check=False)
        return Result(done.returncode == 0, done.stdout, done.stderr)


def ways(pod: str) -> dict[str, tuple[str, ...]]:
    """Calls of kubectl that lead into a pod of the backend past the gateway, by subresource."""
    inside = f"/api/v1/namespaces/{BACKEND_NAMESPACE}"
    return {
        "pods/exec": ("exec", f"--namespace={BACKEND_NAMESPACE}", pod, "--", "true"),
        "pods/attach": ("attach", f"--namespace={BACKEND_NAMESPACE}", pod),
        "pods/portforward": ("port-forward", f"--namespace={BACKEND_NAMESPACE}", f"pod/{pod}", "0:4040"),
        "pods/proxy": ("get", "--raw", f"{inside}/pods/{pod}:4040/proxy/"),
        "services/proxy": ("get", "--raw", f"{inside}/services/devstore:4040/proxy/metrics"),
    }


def compiles(platform: Platform, guard: str) -> None:
    """The controller checks the types of the CEL against what a policy matches; the status says what is wrong."""
    deadline = time.monotonic() + 30
    while True:
        policy = platform.get("validatingadmissionpolicy", guard)
        status = policy.get("status", {})
        if status.get("observedGeneration") == policy["metadata"]["generation"]:
            break
        assert time.monotonic() < deadline, f"not checked yet: {status}"
        time.sleep(0.5)
    assert not status.get("typeChecking", {}).get("expressionWarnings")
