"""Run the unmodified Pulumi program and record what it registers."""

import json
import os
import time
from pathlib import Path
from typing import Final

from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from flameplane.plan.monitor import Engine, Monitor
from flameplane.plan.processes import Child, running
from flameplane.plan.recording import ProgramFailed, Recording, Resource
from flameplane.plan.servers import serving
from flameplane.plan.stack import Stack, load_stack

TIMEOUT: Final = 300.0  # seconds a program may take; the 200-service fleet takes about 10
_AFTER_REFUSAL: Final = 10.0  # seconds a program gets to end by itself once a call of it was refused
SERVICES_VARIABLE: Final = "FLAMEPLANE_SERVICES"


def record(root: Path, stack: str, services: Path | None = None, timeout: float = TIMEOUT) -> Recording:
    """Everything the program registers for ``stack``. Raises ``ProgramFailed`` when it does not come to its end.

    ``services`` is a services tree that stands in for the project's own; the program reads it from the environment.
    Without it the project's own is recorded, whatever this process's environment says: what is recorded is always what
    the caller has checked.
    """
    root = root.resolve()
    target = load_stack(root, stack)
    if not (root / "__main__.py").is_file():
        raise ProgramFailed("there is no program: __main__.py does not exist beside Pulumi.yaml")
    monitor, engine = Monitor(target), Engine()
    started = time.monotonic()
    try:
        with (
            serving(
                lambda server: resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server),
                lambda server: engine_pb2_grpc.add_EngineServicer_to_server(engine, server),
            ) as address,
            running(_arguments(target, root, address), root, _environment(target, services)) as child,
        ):
            refused_at: list[float] = []

            def stop() -> bool:
                now = time.monotonic()
                if monitor.failed.is_set() and not refused_at:
                    refused_at.append(now)
                return now - started > timeout or bool(refused_at and now - refused_at[0] > _AFTER_REFUSAL)

            code = child.wait(stop)
            _check_end(code, child, monitor, engine, timeout)
            usage = child.usage
            output = child.stdout + child.stderr
    finally:
        monitor.close()
    assert usage
    return Recording(
        project=target.project,
        stack=target.name,
        organization=target.organization,
        config=target.config,
        resources=_in_order(monitor.resources),
        logs=tuple(engine.logs),
        output=output,
        services=services,
        seconds=time.monotonic() - started,
        cpu_seconds=usage.cpu_seconds,
        peak_rss_mb=usage.peak_rss_mb,
    )


def _arguments(stack: Stack, root: Path, address: str) -> list[str]:
    options = {
        "monitor": address,
        "engine": address,
        "project": stack.project,
        "stack": stack.name,
        "organization": stack.organization,
        "root": str(root),
    }
    return ["program", *(f"--{name}={value}" for name, value in options.items())]


def _environment(stack: Stack, services: Path | None) -> dict[str, str]:
    env = {**os.environ, "PULUMI_CONFIG": json.dumps(stack.config), "PULUMI_CONFIG_SECRET_KEYS": "[]"}
    env.pop(SERVICES_VARIABLE, None)
    if services is not None:
        env[SERVICES_VARIABLE] = str(services.resolve())
    return env


def _check_end(code: int | None, child: Child, monitor: Monitor, engine: Engine, timeout: float) -> None:
    """Raise unless the program ran to its end. The monitor's reason comes first: the program's is its consequence."""
    said = child.stdout + child.stderr
    if monitor.failure:
        raise ProgramFailed(f"the program failed: {monitor.failure}", said)
    if code is None:
        done = monitor.resources
        last = f"the last of {len(done)} resources it registered is {done[-1].urn}" if done else "it registered nothing"
        raise ProgramFailed(f"the program did not end within {timeout:g} s; {last}", said)
    errors = [log.message.strip("\n") for log in engine.logs if log.severity == "error"]
    if errors:
        raise ProgramFailed("the program failed:\n" + "\n".join(errors), said)
    if code < 0:
        raise ProgramFailed(f"the program was ended by signal {-code}", said)
    if code:
        raise ProgramFailed(f"the program stopped with exit code {code}", said)
    if not monitor.finished:
        raise ProgramFailed("the program ended before its last line (exit code 0, as by sys.exit())", said)


def _in_order(resources: list[Resource]) -> tuple[Resource, ...]:
    """Parents first, then by URN: registrations arrive in an order that differs from run to run."""
    parents = {r.urn: r.parent for r in resources}

    def depth(urn: str | None) -> int:
        return 1 + depth(parents.get(urn)) if urn else 0

    return tuple(sorted(resources, key=lambda r: (depth(r.urn), r.urn)))
