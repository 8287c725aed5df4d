"""What the other programs are told, as it was reviewed: the egress proxy, the agents on nodes and those in processes.

Written apart from components/ on purpose: an edit there alone is then noticed.
"""

from collections.abc import Sequence
from typing import Any, Final

from schemas.allowed import AGENT_NAMESPACE, EBPF_TYPES, PRIVATE_RANGES, PRIVATE_RANGES_V6, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.service import Go, Service
from schemas.settings import Settings

PROXY: Final = (SYSTEM_NAMESPACE, "egress-proxy")
NODE_SERVICES: Final = (AGENT_NAMESPACE, "node-services")
RECEIVER: Final = f"http://node-receiver.{AGENT_NAMESPACE}.svc:4040"
_WALL: Final = "50ms"
# async-profiler's event of each type; the first that a service has drives it.
_EVENTS: Final = {"cpu": "itimer", "wall": "wall", "alloc": "alloc", "mutex": "lock"}


def squid(settings: Settings) -> str:
    """squid.conf: tunnels to listed hosts on port 443, one line in the log for each, and nothing kept. The order of
    http_access decides, so it is compared line by line."""
    regression = settings.regression
    inside = [f"acl inside dst {regression.egress}"] if regression.egress else []
    return "\n".join(
        [
            "http_port 3128",
            "acl tunnel method CONNECT",
            "acl https port 443",
            f"acl listed dstdomain -n {' '.join(regression.egress_hosts)}",
            f"acl private dst {' '.join((*PRIVATE_RANGES, *PRIVATE_RANGES_V6))}",
            *inside,
            "http_access deny !tunnel",
            "http_access deny !https",
            "http_access deny !listed",
            f"http_access deny private{' !inside' if inside else ''}",
            "http_access allow listed",
            "http_access deny all",
            "access_log stdio:/dev/stdout",
            "cache_log /dev/null",
            "cache deny all",
            "cache_mem 0 MB",
            "memory_pools off",
            "pid_filename none",
            "coredump_dir none",
            "pinger_enable off",
            "visible_hostname egress-proxy",
            "httpd_suppress_version_string on",
            "forwarded_for delete",
            "max_filedescriptors 1024",
            "connect_timeout 10 seconds",
            "read_timeout 2 minutes",
            "client_lifetime 15 minutes",
            "shutdown_lifetime 5 seconds",
        ]
    )


def node_services(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """services.json: what is sampled, at which rate, and what never is."""
    undeclared = catalog.organisation.spec.undeclared
    others = {"team": undeclared.team, "sampleRateHz": undeclared.sample_rate_hz} if undeclared else None
    return {
        "baseRateHz": settings.collection.base_rate_hz,
        "excludedNamespaces": sorted(catalog.organisation.spec.excluded_namespaces),
        "optOutAnnotation": "flameplane.dev/profile",
        **({"undeclared": others} if others else {}),
        "services": [_sampled(service) for service in catalog.services],
    }


def _sampled(service: Service) -> dict[str, Any]:
    spec = service.spec
    return {
        "service": service.name,
        "team": service.team,
        "namespace": spec.workload.namespace,
        "selector": dict(spec.workload.selector),
        "language": spec.language.name,
        "sampleRateHz": spec.profiling.sample_rate_hz,
        "types": list(spec.profiling.types),
        "cpuSource": spec.profiling.cpu_source,
        "labels": spec.labels.model_dump(by_alias=True),
        **({"pprofPort": spec.language.pprof_port} if isinstance(spec.language, Go) else {}),
    }


def injected(service: Service) -> str:
    """The environment of a language's agent, one variable a line: a variable too many chooses a mode too many."""
    profiling = service.spec.profiling
    types = [t for t in profiling.types if t not in EBPF_TYPES]
    if profiling.cpu_source == "agent" and "cpu" in profiling.types:
        types.insert(0, "cpu")
    if service.spec.language.name == "java":
        return "\n".join(_java(service, types))
    return "\n".join(
        (
            f"FLAMEPLANE_SERVICE={service.name}",
            f"FLAMEPLANE_RECEIVER={RECEIVER}",
            f"FLAMEPLANE_TYPES={','.join(types)}",
            f"FLAMEPLANE_SAMPLE_RATE_HZ={profiling.sample_rate_hz}",
        )
    )


def _java(service: Service, types: Sequence[str]) -> list[str]:
    """jfropts=3 keeps system properties and the command line out of every upload."""
    event = next(t for t in _EVENTS if t in types)
    interval = _WALL if event == "wall" else f"{round(1000 / service.spec.profiling.sample_rate_hz)}ms"
    beside = f",wall={_WALL}" if "wall" in types and event != "wall" else ""
    return [
        f"PYROSCOPE_APPLICATION_NAME={service.name}",
        f"PYROSCOPE_SERVER_ADDRESS={RECEIVER}",
        "PYROSCOPE_FORMAT=jfr",
        "PYROSCOPE_UPLOAD_INTERVAL=15s",
        f"PYROSCOPE_PROFILER_EVENT={_EVENTS[event]}",
        f"PYROSCOPE_PROFILING_INTERVAL={interval}",
        *(["PYROSCOPE_PROFILER_ALLOC=512k"] if "alloc" in types else []),
        *(["PYROSCOPE_PROFILER_LOCK=10ms"] if "mutex" in types else []),
        f"PYROSCOPE_AP_EXTRA_ARGUMENTS=jfropts=3{beside}",
    ]
