"""What the policy pack says about a recording, as findings with both places: the declaration and the Python call."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pulumi.runtime.proto import analyzer_pb2

from flameplane.catalog import Sources, load
from flameplane.findings import Finding, Location, Severity, in_order
from flameplane.plan.manifests import manifest, title
from flameplane.plan.pack import Pack, RuleFailed, running_pack
from flameplane.plan.places import declaration, python_line
from flameplane.plan.recording import Recording, Resource
from flameplane.plan.values import UNKNOWN, to_struct, walk
from schemas.waivers import FILE as WAIVERS

PACK: Final = "policies"
_RULE: Final = re.compile(r"(FP|WVR)\d{3}")
# How the pack reports what policies/waivers.yaml covers, and what is wrong with the file.
_WAIVED: Final = re.compile(r" \[waived: (?P<waiver>[^\n]*)\]$")
_WAIVER: Final = re.compile(
    rf"{WAIVERS}:(?P<line>\d+):(?P<column>\d+): (?P<message>[^\n]*)"
    r"(\n  valid: (?P<valid>[^\n]*))?(\n  fix: (?P<fix>[^\n]*))?"
)
_CANNOT_RUN: Final = re.compile(
    r"can't run policy '.*?' from policy pack '.*?' during preview: (?P<reason>.*)", re.DOTALL
)
_UNKNOWN_PATH: Final = re.compile(r"value at \.(?P<path>\S+) can't be known")
_DURATION: Final = re.compile(r"([0-9.]+)(h|ms|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def evaluate(
    recording: Recording,
    root: Path,
    sources: Sources | None = None,
    texts: dict[str, tuple[str, str, str]] | None = None,
) -> list[Finding]:
    """Findings of the project's policy pack. Raises ``PackFailed`` when it could not judge at all.

    ``sources`` are those of the declared files, if they have been read already; ``texts`` is filled with title, reason
    and fix of the pack's rules by id. A mandatory rule gives errors, an advisory one warnings. A rule that could not
    run, because it met a value only the cloud knows or because it threw, is an error that names rule and object.
    """
    root = root.resolve()
    with running_pack(root / PACK, recording) as pack:
        if texts is not None:
            by_length = sorted(pack.policies, key=len, reverse=True)  # FP001 after FP001-waived, which is the same rule
            texts |= {_rule_id(name): _texts(pack.policies[name]) for name in by_length}
        judge = _Judge(recording, root, sources or load(root, recording.services).sources, pack)
        return in_order([*judge.disabled(), *judge.objects(), *judge.stack()])


@dataclass
class _Judge:
    recording: Recording
    root: Path
    sources: Sources
    pack: Pack

    def __post_init__(self) -> None:
        self._broken: set[str] = (
            set()
        )  # rules that threw: reported once, then off, since one failure fails a whole call

    def disabled(self) -> Iterator[Finding]:
        """A rule that is switched off says so: nothing is silently not judged."""
        for name in self.pack.policies:
            if self.pack.level(name) == analyzer_pb2.DISABLED:
                yield Finding(
                    _rule_id(name), "warning", f"the rule is disabled: {self.pack.policies[name].description}"
                )

    def objects(self) -> Iterator[Finding]:
        for resource in self.recording.resources:
            request = analyzer_pb2.AnalyzeRequest(
                type=resource.type,
                name=resource.name,
                urn=resource.urn,
                properties=to_struct(sent(resource)),
                options=_options(resource),
                provider=self._provider(resource),
            )
            yield from self._ask(request, analyzer_pb2.POLICY_TYPE_RESOURCE, resource)

    def stack(self) -> Iterator[Finding]:
        request = analyzer_pb2.AnalyzeStackRequest(resources=[self._in_stack(r) for r in self.recording.resources])
        yield from self._ask(request, analyzer_pb2.POLICY_TYPE_STACK, None)

    def _ask(self, request: Any, kind: int, resource: Resource | None) -> Iterator[Finding]:
        """One call. When a rule throws, none is named: each is then asked alone, and the culprits are left out."""
        try:
            diagnostics = self.pack.analyze(request)
        except RuleFailed:
            diagnostics = []
            for name, policy in self.pack.policies.items():
                if policy.policy_type == kind and name not in self._broken:
                    self.pack.configure(only=name)
                    try:
                        diagnostics += self.pack.analyze(request)
                    except RuleFailed as error:
                        self._broken.add(name)
                        yield self._thrown(name, str(error), resource)
            self.pack.configure(without=self._broken)
        yield from (self._finding(d, resource) for d in diagnostics)

    def _thrown(self, policy: str, error: str, resource: Resource | None) -> Finding:
        where = _title(resource) if resource else "the whole stack"
        return Finding(
            _rule_id(policy),
            "error",
            f"could not run: the rule failed on {where}: {error}; nothing further was judged by it",
            python_line(resource, self.root) if resource else None,
            fix=f"Correct the rule {policy} in {PACK}/.",
            subject=resource.urn if resource else "",
        )

    def _finding(self, diagnostic: Any, resource: Resource | None) -> Finding:
        at_fault = self.recording.by_urn.get(diagnostic.urn) or resource
        policy = self.pack.policies[diagnostic.policyName]
        text = diagnostic.message.removeprefix(diagnostic.description).strip() or diagnostic.description
        mandatory = diagnostic.enforcementLevel == analyzer_pb2.MANDATORY
        severity: Severity = "error" if mandatory else "warning"
        fix = policy.remediation_steps
        if cannot := _CANNOT_RUN.fullmatch(diagnostic.message):
            severity, text = "error", f"could not run: {cannot['reason']}"
            fix = "Make every value the rule reads known before apply."
        if wrong := _WAIVER.fullmatch(text):
            place = Location(WAIVERS, int(wrong["line"]), int(wrong["column"]))
            valid = tuple(wrong["valid"].split(", ")) if wrong["valid"] else ()
            return Finding(
                _rule_id(diagnostic.policyName), severity, wrong["message"], place, valid, wrong["fix"] or fix
            )
        waived = _WAIVED.search(text) if diagnostic.policyName.endswith("-waived") else None
        if waived:
            severity, text = "note", text[: waived.start()]
        if at_fault is None and (unknown := _UNKNOWN_PATH.search(text)):
            at_fault = self._holder(unknown["path"])
        text, declared = declaration(text, self.sources)
        python = python_line(at_fault, self.root) if at_fault else None
        if at_fault:
            text = f"{_title(at_fault)}: {text}" if _title(at_fault) not in text else text
        return Finding(
            _rule_id(diagnostic.policyName),
            severity,
            text,
            declared or python,
            fix=fix,
            related=(python,) if declared and python else (),
            subject=at_fault.urn if at_fault else "",
            waived=waived["waiver"] if waived else "",
        )

    def _holder(self, path: str) -> Resource | None:
        """The resource a stack rule stumbled over: the message names a path alone. The first that has it."""
        return next((r for r in self.recording.resources if _unknown_at(r, path)), None)

    def _provider(self, resource: Resource) -> Any:
        provider = self.recording.provider_of(resource)
        if provider is None:
            return None
        return analyzer_pb2.AnalyzerProviderResource(
            type=provider.type, urn=provider.urn, name=provider.name, properties=to_struct(provider.inputs)
        )

    def _in_stack(self, resource: Resource) -> Any:
        """A stack rule sees outputs; in a first preview, those of a resource are its inputs."""
        return analyzer_pb2.AnalyzerResource(
            type=resource.type,
            name=resource.name,
            urn=resource.urn,
            properties=to_struct(sent(resource) if resource.custom else resource.outputs),
            options=_options(resource),
            provider=self._provider(resource),
            parent=resource.parent or "",
            dependencies=resource.dependencies,
            propertyDependencies={
                key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for key, urns in resource.property_dependencies.items()
            },
        )


def sent(resource: Resource) -> dict[str, Any]:
    """The inputs as a policy gets them: with those of a provider the engine puts which program it is, and from where
    (SetProviderVersion and SetProviderURL in its providers package)."""
    if not resource.type.startswith("pulumi:providers:"):
        return resource.inputs
    url = {"__internal": {"pluginDownloadURL": resource.plugin_download_url}} if resource.plugin_download_url else {}
    return {**resource.inputs, **({"version": resource.version} if resource.version else {}), **url}


def _options(resource: Resource) -> Any:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=resource.protect,
        ignoreChanges=resource.ignore_changes,
        deleteBeforeReplace=bool(resource.delete_before_replace),
        deleteBeforeReplaceDefined=resource.delete_before_replace is not None,
        additionalSecretOutputs=resource.additional_secret_outputs,
        aliases=resource.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(
            **{key: _seconds(value) for key, value in resource.custom_timeouts.items()}
        ),
        parent=resource.parent or "",
    )


def _seconds(duration: str) -> float:
    """``1h30m`` as seconds."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def _texts(policy: Any) -> tuple[str, str, str]:
    """Title, reason and fix of a rule, as the pack tells them."""
    title = policy.displayName or policy.name
    return title, policy.description.removeprefix(f"{title}: "), policy.remediation_steps


def _rule_id(policy: str) -> str:
    found = _RULE.search(policy)
    return found[0] if found else policy


def _title(resource: Resource) -> str:
    obj = manifest(resource)
    return title(obj) if obj else f"{resource.type} {resource.name!r}"


def _unknown_at(resource: Resource, path: str) -> bool:
    plain = path.replace("[", ".").replace("]", "").replace('"', "")
    return any(
        value is UNKNOWN and p.replace("[", ".").replace("]", "").replace('"', "") == plain
        for p, value in walk(resource.inputs)
    )
