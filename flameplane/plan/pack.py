"""The real policy pack in a process of its own, driven as the engine drives it (analyzer_plugin.go of Pulumi 3.259).

Environment and calls are the engine's: PULUMI_* variables, Handshake, ConfigureStack, GetAnalyzerInfo, Configure with
the levels and defaults of the pack, then Analyze per resource and AnalyzeStack once.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, engine_pb2_grpc

from flameplane.plan.monitor import Engine
from flameplane.plan.processes import Child, running
from flameplane.plan.program import SERVICES_VARIABLE
from flameplane.plan.recording import Recording
from flameplane.plan.servers import CHANNEL_OPTIONS, serving

_START: Final = 60.0  # seconds until the pack listens; about 1 on an idle machine
_CALL: Final = 300.0  # seconds one call may take; 6,000 resources and 12 stack rules take about 8
_TAIL: Final = 20  # lines of the pack's own output shown when it fails


class PackFailed(Exception):
    """The pack did not start, died, or cannot be driven: nothing was judged, which is an error and never a pass."""


class RuleFailed(Exception):
    """A rule threw. Pulumi's protocol does not say which one."""


class Pack:
    """A running pack. ``levels`` maps each policy to its effective level, in the pack's order."""

    def __init__(self, stub: analyzer_pb2_grpc.AnalyzerStub, child: Child) -> None:
        self._stub, self._child = stub, child
        self.info = self._call(stub.GetAnalyzerInfo, empty_pb2.Empty())
        self._config = _reconciled(self.info)
        if rules := [name for name, c in self._config.items() if c.enforcementLevel == analyzer_pb2.REMEDIATE]:
            raise PackFailed(f"{', '.join(rules)} remediate: what pulumi would apply is then not what was recorded")
        self.configure()

    @property
    def policies(self) -> dict[str, Any]:
        """The pack's policies by name."""
        return {policy.name: policy for policy in self.info.policies}

    def level(self, name: str) -> int:
        """Enforcement level of a policy."""
        return int(self._config[name].enforcementLevel)

    def configure(self, only: str | None = None, without: Iterable[str] = ()) -> None:
        """Switch policies off: all but ``only``, or those in ``without``."""
        off = set(without) if only is None else self._config.keys() - {only}
        config = {name: analyzer_pb2.PolicyConfig.FromString(c.SerializeToString()) for name, c in self._config.items()}
        for name in off:
            config[name].enforcementLevel = analyzer_pb2.DISABLED
        self._call(self._stub.Configure, analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config))

    def analyze(self, request: Any) -> list[Any]:
        """Diagnostics of one resource (``AnalyzeRequest``) or of the stack (``AnalyzeStackRequest``)."""
        whole = isinstance(request, analyzer_pb2.AnalyzeStackRequest)
        return list(self._call(self._stub.AnalyzeStack if whole else self._stub.Analyze, request).diagnostics)

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=_CALL)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNKNOWN and self._child.poll() is None:
                raise RuleFailed((error.details() or "").removeprefix("Exception calling application: ")) from None
            raise PackFailed(
                _with_output(f"the policy pack failed: {error.code().name}: {error.details()}", self._child)
            ) from None


@contextmanager
def running_pack(folder: Path, recording: Recording) -> Iterator[Pack]:
    """The pack of ``folder`` for the time of the block."""
    if not (folder / "PulumiPolicy.yaml").is_file():
        raise PackFailed(f"there is no policy pack: {folder.name}/PulumiPolicy.yaml does not exist")
    engine = Engine()
    with (
        serving(lambda server: engine_pb2_grpc.add_EngineServicer_to_server(engine, server)) as address,
        running(["pack", address, str(folder)], folder, _environment(recording)) as child,
        grpc.insecure_channel(f"127.0.0.1:{_port(child)}", options=CHANNEL_OPTIONS) as channel,
    ):
        stub = analyzer_pb2_grpc.AnalyzerStub(channel)
        _introduce(stub, child, folder, address, recording)
        yield Pack(stub, child)


def _environment(recording: Recording) -> dict[str, str]:
    services = {SERVICES_VARIABLE: str(recording.services.resolve())} if recording.services else {}
    return {
        **{key: value for key, value in os.environ.items() if key != SERVICES_VARIABLE},
        **services,  # the pack reads _org.yaml from where the program did
        "PULUMI_ORGANIZATION": recording.organization,
        "PULUMI_PROJECT": recording.project,
        "PULUMI_STACK": recording.stack,
        "PULUMI_DRY_RUN": "true",
        "PULUMI_CONFIG": json.dumps(recording.config),
    }


def _port(child: Child) -> int:
    """The first line of stdout, once it is complete."""
    deadline = time.monotonic() + _START
    ended = child.wait(lambda: "\n" in child.stdout or time.monotonic() > deadline)
    first = child.stdout.partition("\n")[0]
    if ended is not None:
        raise PackFailed(_with_output(f"the policy pack ended with exit code {ended} before it could be asked", child))
    if not first.isdigit():
        raise PackFailed(_with_output(f"the policy pack did not start within {_START:g} s", child))
    return int(first)


def _introduce(stub: Any, child: Child, folder: Path, engine: str, recording: Recording) -> None:
    """Handshake and ConfigureStack; a pack that does not know them is fine, as it is for the engine."""
    calls = (
        (
            stub.Handshake,
            analyzer_pb2.AnalyzerHandshakeRequest(
                engine_address=engine, root_directory=str(folder), program_directory=str(folder)
            ),
        ),
        (
            stub.ConfigureStack,
            analyzer_pb2.AnalyzerStackConfigureRequest(
                stack=recording.stack,
                project=recording.project,
                organization=recording.organization,
                dry_run=True,
                config=recording.config,
            ),
        ),
    )
    for method, request in calls:
        try:
            method(request, timeout=_CALL, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise PackFailed(_with_output(f"the policy pack does not answer: {error.details()}", child)) from None


def _reconciled(info: Any) -> dict[str, Any]:
    """Levels and defaults per policy, the pack's own initial configuration over them (ReconcilePolicyPackConfig)."""
    result = {}
    for policy in info.policies:
        config = analyzer_pb2.PolicyConfig(enforcementLevel=policy.enforcementLevel)
        for key, schema in json_format.MessageToDict(policy.configSchema).get("properties", {}).items():
            if "default" in schema:
                config.properties[key] = schema["default"]
        result[policy.name] = config
    if "all" in info.initialConfig:
        for config in result.values():
            config.enforcementLevel = info.initialConfig["all"].enforcementLevel
    for name, initial in info.initialConfig.items():
        if name in result:
            result[name].enforcementLevel = initial.enforcementLevel
            result[name].properties.update(json_format.MessageToDict(initial.properties))
    return result


def _with_output(message: str, child: Child) -> str:
    lines = child.stderr.strip().splitlines()[-_TAIL:]
    return "\n".join([message, *(f"  {line}" for line in lines)])
