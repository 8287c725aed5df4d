"""Rule FP033 by spellings: each way to take values along is found as an argument of a program and in what is injected,
and what only looks like one is not."""

import pytest

from policies.rule import Manifest, run
from policies.rules import profilers

RULE = [rule for rule in profilers.RULES if rule.id == "FP033"]
CAPTURING = (
    *("curl localhost:6060/debug/pprof/goroutine?debug=2", "goroutine?debug=02", "goroutine?debug%3D2"),
    *("goroutine?debug=12", "/debug/vars", "/debug/pprof/cmdline", "/debug/pprof/trace", "GOTRACEBACK=crash"),
    *("GOTRACEBACK=system", "perf record -a -g dwarf", "perf record --call-graph=fp,dwarf"),
    *("perf record --call-graph dwarf,4096", "perf record --user-regs=ip,di", "perf record -a -d -p 1"),
    *("perf trace -a", "perf record -ag dwarf", "py-spy dump --pid 1", "py-spy -l dump", "pyspy --pid 1 dump"),
    *("py-spy record --locals", "strace -f -p 1", "/usr/bin/ltrace -p 1", "gdb -p 1", "sh -c 'gdb'"),
    *("bpftrace -e 'x'", '{ printf("%s", str(arg0)) }', "--inspect", "NODE_OPTIONS=--inspect=0.0.0.0:9229"),
    *("--inspect-brk", "--report-on-fatalerror", "--heapsnapshot-signal=USR2"),
    *("-agentlib:jdwp=transport=dt_socket,server=y", "-agentlib:hprof=heap=dump", "-Xrunjdwp:x"),
    *("jcmd 1 VM.system_properties", "jhsdb jmap --heap", "jmap -histo 1", "-XX:OnOutOfMemoryError=cp"),
    *("-XX:OnError=gdb", "-Xdump:heap", "-XX:+HeapDumpOnOutOfMemoryError"),
    *("-Dcom.sun.management.jmxremote.port=9010", "-XX:StartFlightRecording", "jfrsync=default"),
    *("settings=profile.jfc", "dotnet-dump collect", "DOTNET_DbgEnableMiniDump=1", "COMPlus_DbgMiniDumpType=4"),
    *("dotnet-gcdump collect", "-env-vars=PATH,TOKEN", "ulimit -c unlimited", "gcore 1"),
    "echo x > /proc/sys/kernel/core_pattern",
)
HARMLESS = (
    *("debug=0", "debug=1", "--log.debug", "/debug/pprof/heap", "/debug/pprof/allocs?seconds=10"),
    *("perf record -g -F 99", "GOTRACEBACK=single", "GOTRACEBACK=none", "py-spy record -r 99", "--inspector=off"),
    *("-XX:+ExitOnOutOfMemoryError", "-javaagent:/flameplane/agent.jar", "--require /flameplane/preload.js"),
    *("--env-file=x", "KVM.enabled", "arguments"),
)


def found(text: str) -> set[str]:
    """Where the rule finds something: as an argument, and as a parameter of an injection."""
    meta = {"name": "inject-x", "namespace": "flameplane-system"}
    pod = {"containers": [{"name": "app", "args": text.split(" ")}]}
    manifests: list[Manifest] = [
        {"kind": "Deployment", "metadata": meta, "spec": {"template": {"spec": pod}}},
        {"kind": "ConfigMap", "metadata": meta, "data": {"env": f"A=1\nJAVA_TOOL_OPTIONS={text}\n"}},
    ]
    return {str(v.manifest["kind"]) for _, v in run(RULE, manifests) if v.manifest}


@pytest.mark.parametrize("text", CAPTURING)
def test_is_found(text: str) -> None:
    assert found(text) == {"Deployment", "ConfigMap"}


@pytest.mark.parametrize("text", HARMLESS)
def test_is_not_found(text: str) -> None:
    assert found(text) == set()


def test_a_service_may_be_called_like_a_tracer() -> None:
    meta = {"name": "catalog-tools", "namespace": "flameplane-system"}
    assert not list(run(RULE, [{"kind": "ConfigMap", "metadata": meta, "data": {"gdb.yaml": "metadata: {name: gdb}"}}]))
