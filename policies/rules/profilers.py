"""What profilers must not do: capture the values that a program works with, or tell anybody outside."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, documents, items, label, texts
from policies.pyroscope import config_files, flags, override_files
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import JFR_EVENTS, NAMESPACES

POLICIES: Final = ("MutatingAdmissionPolicy",)
# Ways to take values along, each reproduced with planted secrets (docs/policies.md): pattern, and what it gives away.
CAPTURING: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (r"debug=[2-9]", "goroutine stacks with argument words (debug=2)"),
        (r"/debug/pprof/(cmdline|trace)", "the command line, or every event"),
        (r"--locals\b|\bpy-?spy\s+dump\b|\bPYSPY_LOCALS\b", "local variables and arguments (py-spy)"),
        (r"call-graph[=\s\"',]+dwarf|--call-graph[=\s]+lbr,dwarf", "raw user stacks (perf --call-graph dwarf)"),
        (r"jfrsync", "all that JFR's default settings record, the environment too (jfrsync)"),
        (r"StartFlightRecording|FlightRecorderOptions|\bJFR\.(start|dump)", "all that a JFR recording holds"),
        (r"\b(default|profile)\.jfc\b", "the environment and system properties (JFR's own settings)"),
        (
            r"HeapDump(OnOutOfMemoryError|Path|BeforeFullGC|AfterFullGC)|GC\.heap_dump|jmap\b[^\n]*dump",
            "the JVM's heap",
        ),
        (r"heapsnapshot|writeHeapSnapshot|--heap-?dump|heap_dump", "a heap dump"),
        (r"\bmemray\b", "the command line, and allocations with their locals (memray)"),
        (r"WriteHeapDump|/debug/pprof/heap\?[^\s]*debug=", "a heap dump"),
        (r"--abort-on-uncaught-exception|--report-(on|uncaught)|--diagnostic-dir", "Node's diagnostic reports"),
    )
)
JFR_EVENT: Final = re.compile(r"\bjdk\.[A-Z]\w+")
# Java's agent alone is told by these; whatever format is asked for, JFR is what it uploads to Pyroscope.
JAVA: Final = re.compile(r"\bPYROSCOPE_(FORMAT|PROFILER_[A-Z]+|UPLOAD_INTERVAL|AP_EXTRA_ARGUMENTS)\b[=:\"'\s]")
# Where the options that Java's agent hands to async-profiler stand.
REDACTED: Final = re.compile(r"PYROSCOPE_AP_EXTRA_ARGUMENTS[\"'\s:=,value]*[^\n\"']*\bjfropts=3(?![0-9])")
# Public services that profilers, Pyroscope and Grafana know of.
PUBLIC: Final = re.compile(
    r"flamegraph\.com|debuginfod\.[a-z.]*\b(elfutils|ubuntu|debian|fedoraproject|archlinux)\b|stats\.grafana\.org|"
    r"pyroscope\.cloud|grafana\.net\b|msdl\.microsoft\.com|symbols\.mozilla\.org",
    re.IGNORECASE,
)
INTERNAL: Final = re.compile(r"^https?://[a-z0-9.-]+\.(svc|svc\.cluster\.local|internal|local)(:[0-9]+)?(/.*)?$")
# Variables that say where profiles, or all requests of a program, go.
DESTINATION: Final = re.compile(
    r"\b(PYROSCOPE_SERVER_ADDRESS|FLAMEPLANE_RECEIVER|(?:HTTPS?|ALL)_PROXY)=(\S*)", re.IGNORECASE
)
OURS: Final = re.compile(rf"^(https?://[a-z0-9-]+\.({'|'.join(NAMESPACES)})\.svc(\.cluster\.local)?(:[0-9]+)?/?)?$")
REPORTING: Final = ("analytics.reporting-enabled", "usage-stats.enabled")
# Settings of Grafana that send something out, and of the gateway what the browser may; all have to be false.
SENDING: Final = re.compile(
    r"^GF_(ANALYTICS_|NEWS_NEWS_FEED_ENABLED|SNAPSHOTS_EXTERNAL_ENABLED|AUTH_ANONYMOUS_ENABLED)"
)


def _texts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every text in which a mode can be chosen, with where it stands; the environment as NAME=value."""
    if manifest.get("kind") in WORKLOADS:
        for container in containers(manifest):
            arguments = [*texts(container.body.get("command")), *texts(container.body.get("args"))]
            yield f"container {container.name}", " ".join(arguments)
            for variable in items(container.body.get("env")):
                yield f"container {container.name}", f"{variable.get('name')}={variable.get('value') or ''}"
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                yield f"container {container.name}", str(at(container.body, probe, "httpGet", "path") or "")
        annotations = at(manifest, "metadata", "annotations") or {}
        yield "annotations", "\n".join(f"{key}={value}" for key, value in annotations.items())
    elif manifest.get("kind") == "ConfigMap":
        for field in ("data", "binaryData"):
            yield from ((key, f"{key}={value}") for key, value in (manifest.get(field) or {}).items())
    else:
        for entry in (*items(at(manifest, "spec", "mutations")), *items(at(manifest, "spec", "variables"))):
            for form in (entry, entry.get("applyConfiguration") or {}, entry.get("jsonPatch") or {}):
                yield "an expression", str(form.get("expression") or "")


def _modes(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        for where, text in _texts(manifest):
            for pattern, what in CAPTURING:
                if found := pattern.search(text):
                    yield breaks(manifest, f"takes {what}: `{found[0]}` in {where}")
            for event in sorted(set(JFR_EVENT.findall(text)) - set(JFR_EVENTS)):
                yield breaks(manifest, f"records the JFR event {event} in {where}; valid: {', '.join(JFR_EVENTS)}")


def _java(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        text = "\n".join(text for _, text in _texts(manifest))
        if manifest.get("kind") == "ConfigMap":
            text = "\n".join(str(value) for value in (manifest.get("data") or {}).values())
        given = re.search(r"^JAVA_TOOL_OPTIONS=.*pyroscope", text, re.MULTILINE)
        if (given or JAVA.search(text)) and not REDACTED.search(text):
            yield breaks(
                manifest,
                "runs Java's agent without jfropts=3 (PYROSCOPE_AP_EXTRA_ARGUMENTS): every upload would hold system "
                "properties and the command line",
            )


def _outside(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for config in config_files(manifests):
        wanted: dict[tuple[str, ...], Any] = {("analytics", "reporting_enabled"): False}
        wanted |= {("self_profiling", "disable_push"): True}
        for path, value in wanted.items():
            if at(config.body, *path) is not value:
                how = f"does not set {'.'.join(path)}: {str(value).lower()} in {config.key}: figures would leave"
                yield breaks(config.manifest, how)
        yield from _symbolizer(config.manifest, config.body, config.body.get("limits") or {}, "")
    for file in override_files(manifests):
        for tenant, limits in (file.body.get("overrides") or {}).items():
            yield from _symbolizer(file.manifest, {}, limits or {}, f" for tenant {tenant}")
    for container, flag, value in flags(manifests):
        off = value.lower() == "false"
        if flag in REPORTING and not off:
            yield container.breaks(f"reports to the vendor (-{flag}={value or 'true'})")
        if flag.startswith("symbolizer.") and not off and not INTERNAL.match(value):
            yield container.breaks(f"looks symbols up elsewhere (-{flag}={value or 'true'})")
    for manifest in manifests:
        yield from _sends(manifest)


def _symbolizer(
    manifest: Manifest, body: Mapping[str, Any], limits: Mapping[str, Any], whose: str
) -> Iterator[Violation]:
    url = str(at(body, "symbolizer", "debuginfod_url") or "")
    if at(limits, "symbolizer", "enabled") and not INTERNAL.match(url):
        yield breaks(manifest, f"looks up symbols{whose} at a public server: build ids would leave the organisation")
    elif url and not INTERNAL.match(url):
        yield breaks(manifest, f"names the symbol server {url}, which is not inside")


def _sends(manifest: Manifest) -> Iterator[Violation]:
    for where, text in _texts(manifest):
        if found := PUBLIC.search(text):
            yield breaks(manifest, f"names the public service {found[0]} in {where}")
        for variable, url in DESTINATION.findall(text):
            if not OURS.match(url):
                yield breaks(manifest, f"sends to {url} ({variable} in {where}), which is no part of the platform")
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if SENDING.match(key) and value.strip().lower() not in ("false", ""):
                yield breaks(manifest, f"sets {key}: {value}, by which Grafana tells somebody outside")
    if manifest.get("kind") == "ConfigMap":
        for document in documents(manifest).values():
            if at(document, "pluginSettings", "enableFlameGraphDotComExport"):
                yield Violation(f"{label(manifest)} offers to post profiles to flamegraph.com", manifest)


_KINDS: Final = ("ConfigMap", *POLICIES, *WORKLOADS)
RULES: Final = (
    Rule(
        id="FP033",
        name="no-captured-values",
        why="The promise is code locations and no data: heap dumps, goroutine dumps with arguments, raw stacks and "
        "JFR's own settings hold passwords and card numbers.",
        remediation="Use modes that record stacks alone: pprof without debug=2, py-spy record, frame pointers or "
        "in-kernel unwinding, an allow-list of JFR events (`JFR_EVENTS` in schemas/allowed.py). No heap dumps.",
        kinds=_KINDS,
        check=_modes,
        waivable=False,
    ),
    Rule(
        id="FP034",
        name="java-redaction",
        why="The Java agent uploads recordings with all system properties and the command line, and with them "
        "passwords, unless it is told not to.",
        remediation="Keep `jfropts=3` in PYROSCOPE_AP_EXTRA_ARGUMENTS wherever Java's agent is configured.",
        kinds=_KINDS,
        check=_java,
        waivable=False,
    ),
    Rule(
        id="FP035",
        name="nothing-leaves",
        why="Usage reports, public symbol servers and one click in a flame graph carry names of functions and builds "
        "out of the organisation.",
        remediation="Reporting off, symbolizer off or with a server inside, Grafana's analytics and external snapshots "
        "off, export to flamegraph.com off.",
        kinds=_KINDS,
        check=_outside,
        scope="stack",
    ),
)
