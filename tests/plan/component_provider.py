"""The published component over the real provider protocol: its own process, asked as the engine asks it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc, resource_pb2_grpc

from flameplane.plan.monitor import Engine, Monitor
from flameplane.plan.recording import Resource
from flameplane.plan.servers import CHANNEL_OPTIONS, serving
from flameplane.plan.stack import Stack
from flameplane.plan.values import to_struct

TYPE = "flameplane:index:Platform"
TIMEOUT = 120  # seconds a call may take


class Provider:
    """A running provider and the monitor that records what it registers."""

    def __init__(self, stub: Any, monitor: Monitor, address: str, stack: Stack) -> None:
        self._stub, self._monitor, self._address, self._stack = stub, monitor, address, stack

    def schema(self) -> str:
        """The package's schema as JSON."""
        return str(self._stub.GetSchema(provider_pb2.GetSchemaRequest(version=0), timeout=TIMEOUT).schema)

    def construct(self, inputs: Mapping[str, Any]) -> list[Resource]:
        """What the component registers. Raises ``grpc.RpcError`` when it refuses."""
        request = provider_pb2.ConstructRequest(
            project=self._stack.project,
            stack=self._stack.name,
            organization=self._stack.organization,
            parallel=4,
            dryRun=True,
            monitorEndpoint=self._address,
            type=TYPE,
            name="flameplane",
            inputs=to_struct(inputs),
        )
        self._stub.Construct(request, timeout=TIMEOUT)
        assert self._monitor.failure is None, self._monitor.failure
        return self._monitor.resources


@contextmanager
def provider(root: Path, cwd: Path, stack: str) -> Iterator[Provider]:
    """The provider for the time of the block, started in a folder that is not the project's."""
    target = Stack("flameplane", stack, {"pulumi:disable-default-providers": '["*"]'}, root)
    monitor, engine = Monitor(target), Engine()
    with serving(
        lambda server: resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server),
        lambda server: engine_pb2_grpc.add_EngineServicer_to_server(engine, server),
    ) as address:
        process = subprocess.Popen(
            [sys.executable, "-u", str(root / "flameplane_provider" / "__main__.py"), address],
            cwd=cwd,
            env={**os.environ, "no_grpc_proxy": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            assert process.stderr
            port = process.stdout.readline().strip()
            assert port.isdigit(), process.stderr.read()
            with grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
                yield Provider(provider_pb2_grpc.ResourceProviderStub(channel), monitor, address, target)
        finally:
            process.kill()
            process.communicate()
            monitor.close()
