"""kubectl against one named cluster. The user's kubeconfig, context, cache and preferences are never read."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flameplane.local.problem import Problem

Object = dict[str, Any]
TIMEOUT = 600  # seconds; no single call of ours takes a tenth of it


@dataclass(frozen=True)
class Result:
    """What a call printed, and whether it succeeded."""

    ok: bool
    out: str
    err: str


@dataclass(frozen=True)
class Kubectl:
    """`cache` holds what kubectl learned about the API (else it would go to ~/.kube)."""

    binary: Path
    kubeconfig: Path
    context: str
    cache: Path

    @property
    def command(self) -> list[str]:
        """The start of every command, also for showing to the user."""
        return [str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--context={self.context}"]

    def call(self, *arguments: str, objects: Sequence[Object] | None = None, timeout: float = TIMEOUT) -> Result:
        """Run kubectl; `objects` go in as `--filename=-`, never as arguments, since those are visible to every user."""
        command = [*self.command, f"--cache-dir={self.cache}", *arguments]
        text = None
        if objects is not None:
            command.append("--filename=-")
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
        environment |= {"KUBECTL_APPLYSET": "true", "KUBERC": "off"}
        try:
            done = subprocess.run(
                command, input=text or "", env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except OSError as error:
            raise Problem("LOC010", f"Cannot run {self.binary}: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            raise Problem(
                "LOC010", f"`kubectl {' '.join(arguments)}` gave no answer within {timeout:.0f} s."
            ) from error
        return Result(done.returncode == 0, done.stdout, done.stderr)

    def run(
        self, *arguments: str, objects: Sequence[Object] | None = None, doing: str, timeout: float = TIMEOUT
    ) -> str:
        """The output of a call that has to succeed; `doing` completes 'Could not ...'."""
        result = self.call(*arguments, objects=objects, timeout=timeout)
        if not result.ok:
            said = [line for line in (result.err or result.out).splitlines() if line.strip()]
            raise Problem("LOC010", f"Could not {doing}:", details=said[-15:] or ["kubectl said nothing."])
        return result.out

    def get(self, *arguments: str, objects: Sequence[Object] | None = None, doing: str) -> list[Object]:
        """Objects as the API server has them; none is no error."""
        output = self.run("get", "--ignore-not-found", "--output=json", *arguments, objects=objects, doing=doing)
        return items(output)


def items(output: str) -> list[Object]:
    """Objects of kubectl's JSON output: nothing, one object or a list."""
    if not output.strip():
        return []
    found = json.loads(output)
    if found["kind"].endswith("List") and "items" in found:
        return list(found["items"])
    return [found]
