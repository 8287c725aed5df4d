"""Tenants: the boundary between teams. Exactly one per team for fine profiles and one for downsampled ones."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from policies.context import environment
from policies.declared import LONGTERM, Document, read
from policies.objects import WORKLOADS, at, breaks, containers, documents, items, name, namespace
from policies.pyroscope import config_files, flags, override_files
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE

TENANT: Final = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")  # a `|` would make Pyroscope read several tenants at once
# What makes tenants a boundary at all, as path in the configuration, value, and what is wrong without.
BOUNDARY: Final = (
    (("multitenancy_enabled",), True, "all teams would share the tenant `anonymous`"),
    (("admin_server", "mode"), "exclusive", "/ops reads any tenant's profiles on the port that the gateway uses"),
)
READING: Final = ("config.file", "config.expand-env")
_PART: Final = re.compile(r"pyroscope(-|$)")
FLAGS: Final = ("multitenancy-enabled", "admin-server.mode", "runtime-config.file")


def _tenants(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    teams = declared.teams
    nameless = {str(s.get("metadata.team")) for s in declared.services} - teams.keys()  # rule FP009 says so
    yield from _readers(manifests, teams, nameless)
    overrides = list(override_files(manifests))
    for file in overrides:
        tenants = set(file.body.get("overrides") or {})
        for tenant in sorted(tenants):
            if not TENANT.match(tenant):
                yield breaks(file.manifest, f"has the tenant `{tenant}`; valid: 1 to 64 of A-Z a-z 0-9 _ . -")
        if not teams:
            continue
        wanted = {tenant for team in teams for tenant in (team, f"{team}{LONGTERM}")}
        for missing in sorted(wanted - tenants):
            team = teams.get(missing) or teams[missing.removesuffix(LONGTERM)]
            yield breaks(file.manifest, f"has no tenant {missing}", team.declared("metadata.name"))
        for extra in sorted(
            t for t in tenants - wanted if TENANT.match(t) and t.removesuffix(LONGTERM) not in nameless
        ):
            yield breaks(file.manifest, f"has the tenant {extra}, which is no team's")
    yield from _files_there(manifests if teams else ())
    yield from _files_read(manifests)
    for config in config_files(manifests):
        for path, value, otherwise in BOUNDARY:
            if at(config.body, *path) != value:
                setting = f"{'.'.join(path)}: {str(value).lower()}"
                yield breaks(config.manifest, f"does not set {setting} in {config.key}: {otherwise}")
        if overrides and not at(config.body, "runtime_config", "file"):
            yield breaks(config.manifest, f"loads no overrides in {config.key} (runtime_config.file)")
    for container, flag, value in flags(manifests):
        if flag.endswith(FLAGS):
            yield container.breaks(f"has the flag -{flag}={value}, which beats the configuration files")


def _files_there(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """What the backend is told to read is declared: what is left out breaks no rule about what is in it."""
    configs, overrides = any(config_files(manifests)), any(override_files(manifests))
    for container, flag, told in flags(manifests):
        if flag == "config.file" and not configs:
            yield container.breaks(f"reads {told}, and no ConfigMap holds Pyroscope's configuration")
        elif flag == "config.file" and not overrides:
            yield container.breaks("knows no tenant: no ConfigMap holds the overrides")


def _files_read(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """Every part of the backend reads it: without the flag it has the defaults, and with them one tenant for all."""
    if environment(manifests) is None:
        return
    told: dict[tuple[int, str], set[str]] = {}
    for container, flag, _ in flags(manifests):
        told.setdefault((id(container.manifest), container.name), set()).add(flag)
    for manifest in manifests:
        if (
            manifest.get("kind") in WORKLOADS
            and namespace(manifest) == BACKEND_NAMESPACE
            and _PART.match(name(manifest))
        ):
            for container in containers(manifest):
                for flag in READING:
                    if flag not in told.get((id(manifest), container.name), ()):
                        yield container.breaks(f"has no flag -{flag}: it would not run by the configuration files")


def _readers(
    manifests: Sequence[Manifest], teams: dict[str, Document], nameless: Collection[str]
) -> Iterator[Violation]:
    """The gateway lets a team's groups, and nobody else, read the team's two tenants."""
    for manifest in manifests:
        if manifest.get("kind") != "ConfigMap" or namespace(manifest) != ACCESS_NAMESPACE:
            continue
        for document in documents(manifest).values():
            if not isinstance(document, dict) or not isinstance(document.get("tenants"), list):
                continue
            found = [(t.get("tenant"), t.get("longterm"), sorted(items(t.get("readers")))) for t in document["tenants"]]
            readers = {
                t.name: [] if t.get("spec.erase") else sorted(items(t.get("spec.groups"))) for t in teams.values()
            }
            wanted = {team: (team, f"{team}{LONGTERM}", groups) for team, groups in readers.items()}
            unread = {t.name for t in teams.values() if not t.get("spec.groups")}  # rule FP009 says so
            for team, entry in wanted.items():
                if found.count(entry) == 1 or team in unread:
                    continue
                how = f"does not give tenant {team} to {', '.join(entry[2]) or 'nobody'} alone"
                # One for each group that lacks or is too many: so that what is left of two mistakes is still seen.
                apart = [e for e in found if e[:2] == entry[:2]]
                lacks, more = (Counter(entry[2]), Counter(apart[0][2])) if len(apart) == 1 else (Counter(), Counter())
                whose = [f"{group} does not read" for group in (lacks - more).elements()]
                whose += [f"{group} reads it" for group in (more - lacks).elements()]
                for what in whose or [""]:
                    said = f"{how}: {what}" if what else how
                    yield breaks(manifest, said, teams[team].declared("spec.groups"))
            for tenant in sorted(str(t) for t, _, _ in found if teams and t not in wanted and t not in nameless):
                yield breaks(manifest, f"opens the tenant {tenant}, which is no team's")


RULES: Final = (
    Rule(
        id="FP011",
        name="tenant-per-team",
        why="Pyroscope knows no users: the tenant is the only boundary between teams, so each team has its own and "
        "nobody else's.",
        remediation="Tenants follow from the teams under services/: add or remove the team there. Keep multitenancy "
        "on and the admin port apart.",
        kinds=("ConfigMap", *WORKLOADS, SETTINGS),
        check=_tenants,
        scope="stack",
    ),
)
