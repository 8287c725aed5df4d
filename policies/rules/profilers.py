"""What profilers must not do: capture the values that a program works with."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from policies.capturing import MODES, TRACERS
from policies.objects import WORKLOADS, breaks, name
from policies.rule import Manifest, Rule, Violation
from policies.wording import POLICIES, worded
from schemas.allowed import JFR_EVENTS

JFR_EVENT: Final = re.compile(r"\bjdk\.[A-Z]\w+")
# Java's agent alone is told by these; whatever format is asked for, JFR is what it uploads to Pyroscope.
JAVA: Final = re.compile(r"\bPYROSCOPE_(FORMAT|PROFILER_[A-Z]+|UPLOAD_INTERVAL|AP_EXTRA_ARGUMENTS)\b[=:\"'\s]")
# Where the options that Java's agent hands to async-profiler stand.
REDACTED: Final = re.compile(r"PYROSCOPE_AP_EXTRA_ARGUMENTS[\"'\s:=,value]*[^\n\"']*\bjfropts=3(?![0-9])")


def _injected(manifest: Manifest) -> bool:
    """Whether these are the parameters of an injection."""
    return name(manifest).startswith("inject-")


def _modes(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        for where, text in worded(manifest):
            for pattern, what in MODES:
                if found := pattern.search(text):
                    yield breaks(manifest, f"takes {what}: `{found[0].strip()}` in {where}")
            if (manifest.get("kind") != "ConfigMap" or _injected(manifest)) and (found := TRACERS.search(text)):
                yield breaks(manifest, f"takes whatever a tracer or debugger asks for: `{found[1]}` in {where}")
            for event in sorted(set(JFR_EVENT.findall(text)) - set(JFR_EVENTS)):
                yield breaks(manifest, f"records the JFR event {event} in {where}; valid: {', '.join(JFR_EVENTS)}")


def _java(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        text = "\n".join(text for _, text in worded(manifest))
        if manifest.get("kind") == "ConfigMap":
            text = "\n".join(str(value) for value in (manifest.get("data") or {}).values())
        given = re.search(r"^JAVA_TOOL_OPTIONS=.*pyroscope", text, re.MULTILINE)
        if (given or JAVA.search(text)) and not REDACTED.search(text):
            yield breaks(
                manifest,
                "runs Java's agent without jfropts=3 (PYROSCOPE_AP_EXTRA_ARGUMENTS): every upload would hold system "
                "properties and the command line",
            )


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
)
