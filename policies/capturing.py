"""Ways in which profilers and runtimes take along the values that a program works with, by how they are spelt.

A list of what is known; rule FP050 refuses every argument and variable that was not reviewed, and this says why for
those that are the worst. Most were reproduced with planted secrets (docs/policies.md), the rest are documented.
"""

import re
from typing import Final

_EQUALS: Final = r"(?:=|%3d|[\s\"':]+)+"
# Pattern, and what it gives away. Cases do not matter.
MODES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        # Go
        (r"\bdebug(=|%3d)0*[1-9]*[2-9]", "goroutine stacks with argument words (debug=2)"),
        (r"/debug/pprof/(cmdline|trace)|/debug/vars\b", "the command line, or every event"),
        (
            rf"\bGOTRACEBACK{_EQUALS}(all|system|crash|wer|[1-9])",
            "argument words when it crashes (GOTRACEBACK)",
        ),
        (r"WriteHeapDump|/debug/pprof/heap\?[^\s]*debug(=|%3d)", "a heap dump"),
        # Python
        (r"--locals\b|\bpy-?spy\b[^\n]*\bdump\b|\bPYSPY_LOCALS\b", "local variables and arguments (py-spy)"),
        (r"\bmemray\b", "the command line, and allocations with their locals (memray)"),
        # perf
        (
            r"call-graph[=\s\"',]+(\w+,)*dwarf|\s-[a-z]*g[=\s\"',]*dwarf|--user-regs\b|\bperf\s+trace\b"
            r"|\bperf\s+record\b[^\n]*\s(-[a-z]*d|--data|--phys-data)\b",
            "raw user stacks, registers or data (perf --call-graph dwarf, --user-regs, -d)",
        ),
        # JFR
        (r"jfrsync", "all that JFR's default settings record, the environment too (jfrsync)"),
        (r"StartFlightRecording|FlightRecorderOptions|\bJFR\.(start|dump|configure)", "all that a JFR recording holds"),
        (r"\b(default|profile)\.jfc\b", "the environment and system properties (JFR's own settings)"),
        # JVM
        (
            r"HeapDump(OnOutOfMemoryError|Path|BeforeFullGC|AfterFullGC)|GC\.heap_dump|\bjmap\b|-Xdump\b"
            r"|\bOn(OutOfMemory)?Error(=|%3d)|ExitOnOutOfMemoryErrorDump",
            "the JVM's heap, or what a command of its own takes",
        ),
        (r"-agentlib:(jdwp|hprof)|-Xrun(jdwp|hprof)|-Xdebug\b|\bjdb\b", "whatever a debugger asks for (JDWP, HPROF)"),
        (r"\bjcmd\b|\bjhsdb\b|\bjinfo\b|\bVM\.[a-z_]+", "command lines, properties and memory (jcmd, jhsdb)"),
        (r"\bjmxremote\b|\bcom\.sun\.management\b", "properties and heap dumps to whoever connects (JMX)"),
        # Node.js
        (r"--inspect(-brk|-port|-wait|-publish-uid)?\b", "whatever a debugger asks for (--inspect)"),
        (
            r"--abort-on-uncaught-exception|--report-(on|uncaught|signal|dir)|--diagnostic-dir",
            "Node's reports",
        ),
        (r"heapsnapshot|writeHeapSnapshot|--heap-?dump|heap_dump", "a heap dump"),
        # .NET
        (
            r"\bdotnet-(dump|gcdump|trace|monitor)\b|\b(DOTNET|COMPlus)_(DbgEnableMiniDump|DbgMiniDump\w*|EnableEventPipe)\b",
            "memory dumps and events of .NET",
        ),
        # OpenTelemetry's eBPF profiler
        (r"-env-vars\b|\bOTEL_\w*ENV_VARS\b", "environment variables of every process (-env-vars)"),
        # The kernel
        (r"\bcore_pattern\b|\bulimit\s+-c\b|\bRLIMIT_CORE\b|\bcoredump_filter\b|\bgcore\b", "core dumps"),
        (
            r"\b(kstr|str|buf)\(\s*arg\d|\bsarg\d\b|\bargs->(buf|filename|argv)",
            "arguments of calls (bpftrace)",
        ),
    )
)
# Programs whose purpose it is. Not searched for in catalogs and dashboards: a service may be called like one.
TRACERS: Final = re.compile(
    r"(?:^|[\s/\"'=;&|])((?:strace|ltrace|gdb|gdbserver|lldb|bpftrace|uftrace|dtrace|stap|sysdig|rr)(?=$|[\s\"';&|]))"
)
