"""Nothing leaves: reports to vendors, public symbol servers, exports to public sites, other destinations than ours."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies import destinations, grafana
from policies.backstop import Backstop, Suspect
from policies.context import platform
from policies.declared import told
from policies.objects import WORKLOADS, at, breaks, documents, label
from policies.pyroscope import config_files, flags, override_files
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import profilers, secrets
from policies.wording import POLICIES, worded
from schemas.allowed import NAMESPACES

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
    yield from (violation for manifest in manifests for violation in _sends(manifest))
    known = platform(manifests)
    told_of = {service.name for service in known.catalog.services} if known else set()
    if known and told(manifests).keys() <= told_of:  # else rules FP008 and FP011 say what is not declared
        found = (one for one in (*grafana.judged(known), *destinations.judged(known)) if not _sent(one))
        yield from Backstop(manifests, (*secrets.RULES, *profilers.RULES)).left(found)


def _sent(one: Suspect) -> bool:
    """Whether this rule has already said of the object itself what is wrong with it."""
    if one.was is None or one.mended is None:
        return False
    return sum(1 for _ in _sends(one.mended)) < sum(1 for _ in _sends(one.same or one.was))


def _symbolizer(
    manifest: Manifest, body: Mapping[str, Any], limits: Mapping[str, Any], whose: str
) -> Iterator[Violation]:
    url = str(at(body, "symbolizer", "debuginfod_url") or "")
    if at(limits, "symbolizer", "enabled") and not INTERNAL.match(url):
        yield breaks(manifest, f"looks up symbols{whose} at a public server: build ids would leave the organisation")
    elif url and not INTERNAL.match(url):
        yield breaks(manifest, f"names the symbol server {url}, which is not inside")


def _sends(manifest: Manifest) -> Iterator[Violation]:
    for where, text in worded(manifest):
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


_KINDS: Final = ("ConfigMap", *POLICIES, *WORKLOADS, SETTINGS)
RULES: Final = (
    Rule(
        id="FP035",
        name="nothing-leaves",
        why="Usage reports, public symbol servers, a data source elsewhere and one click in a flame graph carry names "
        "of functions and builds out of the organisation.",
        remediation="Reporting off, symbolizer off or with a server inside, export to flamegraph.com off, Grafana as "
        "in schemas/reviewed/grafana.py, and no address but the platform's own and those that the settings name.",
        kinds=_KINDS,
        check=_outside,
        scope="stack",
    ),
)
