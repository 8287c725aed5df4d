"""Configuration files inside ConfigMaps: tenants, retention, sample rates, and what would let data out."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from mutations.edit import (
    Edit,
    Mutation,
    Path,
    appended,
    drop,
    each,
    get,
    in_document,
    leaves,
    mutating,
    put,
    removed,
    replaced,
)
from policies.rule import Manifest

# Path in Pyroscope's configuration -> values that weaken it; each is left out once as well.
PYROSCOPE: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("multitenancy_enabled",): (False,),
    ("admin_server", "mode"): ("disabled", "mirror"),
    ("analytics", "reporting_enabled"): (True,),
    ("limits", "symbolizer", "enabled"): (True,),
    ("self_profiling", "disable_push"): (False,),
    ("metastore", "data_dir"): ("/scratch/metastore",),
    ("metastore", "raft", "dir"): ("/scratch/raft",),
    ("metastore", "raft", "snapshots_dir"): ("/scratch/raft",),
    ("metastore", "index", "cleanup_interval"): ("0", "0s"),
    ("runtime_config", "file"): ("https://example.com/overrides.yaml",),
    ("limits", "retention_period"): ("0", "7d", "1y"),
    ("storage", "s3", "insecure"): (True,),
    ("storage", "s3", "endpoint"): ("storage.example.com",),
    ("storage", "s3", "bucket_name"): ("other",),
    ("storage", "backend"): ("filesystem",),
}


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"] != "ConfigMap":
        return
    yield Mutation(manifest, None, "left out")
    for key in manifest.get("data") or {}:
        if key.startswith("GF_"):
            yield from mutating(manifest, removed(manifest, ("data", key)))
            other = {"true": "false", "false": "true"}.get(manifest["data"][key], "connect-src *;")
            yield from mutating(manifest, replaced(manifest, ("data", key), other))
    for key, text in (manifest.get("data") or {}).items():
        for edit in _edits(key, text):
            yield from mutating(manifest, in_document(manifest, key, edit))
        if "jfropts" in text:
            yield from mutating(manifest, _java(manifest, key, text))


def _edits(key: str, text: str) -> Iterator[Callable[[Any], Iterator[Edit]]]:
    """The kinds of document that a text is, by what is in it."""
    if not key.endswith((".yaml", ".json")):
        return
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        return
    if "multitenancy_enabled" in document:
        yield _pyroscope
    if "overrides" in document:
        yield _overrides
    if "baseRateHz" in document:
        yield _node_services
    if "people" in document or "issuers" in document or document.get("kind") == "ExportGrant":
        yield _every_leaf
    if "datasources" in document:
        yield _data_sources
    if any("reads" in service for service in document.get("services") or ()):
        yield _ci_gate
    if document.get("kind") in ("Service", "Team", "Organisation"):
        yield _DECLARATIONS[document["kind"]]


def _pyroscope(document: Any) -> Iterator[Edit]:
    for path, values in PYROSCOPE.items():
        if get(document, path) is not None or path[-1] == "insecure":
            yield from removed(document, path)
            yield from replaced(document, path, *values)


def _every_leaf(document: Any) -> Iterator[Edit]:
    """Each value left out and turned into another, each list longer by one."""
    for path in leaves(document):
        value = get(document, path)
        yield from removed(document, path)
        if isinstance(value, bool):
            yield from replaced(document, path, not value)
        elif isinstance(value, str):
            yield from replaced(document, path, "other")
        elif isinstance(value, list):
            yield from appended(document, path, value[0] if value and isinstance(value[0], dict) else "other")


def _data_sources(document: Any) -> Iterator[Edit]:
    for source in each(document, ("datasources",)):
        yield from replaced(document, (*source, "access"), "direct")
        yield from replaced(document, (*source, "editable"), True)
        yield from replaced(document, (*source, "url"), "http://pyroscope.flameplane-backend.svc:4040")
        yield from replaced(document, (*source, "basicAuth"), True)
        if get(document, (*source, "jsonData", "oauthPassThru")):
            yield from replaced(document, (*source, "jsonData", "oauthPassThru"), False)
            yield from removed(document, (*source, "jsonData", "oauthPassThru"))
        yield from replaced(document, (*source, "jsonData", "httpHeaderName1"), "X-Scope-OrgID")


def _ci_gate(document: Any) -> Iterator[Edit]:
    for service in each(document, ("services",)):
        yield from removed(document, service)
        yield from replaced(document, (*service, "service"), "other")
        yield from replaced(document, (*service, "repository"), "https://example.org/some/one")
        yield from replaced(document, (*service, "reads", "tenant"), "other")
        yield from appended(document, (*service, "reads", "types"), "alloc")
        yield from replaced(document, (*service, "reads", "windowMinutes"), 43_200)
        yield from removed(document, (*service, "reads"))
        yield from replaced(document, (*service, "gate", "mode"), "off")


def _overrides(document: Any) -> Iterator[Edit]:
    tenants: Path = ("overrides",)
    for tenant in get(document, tenants):
        yield from removed(document, (*tenants, tenant))
        retention: Path = (*tenants, tenant, "retention_period")
        yield from replaced(document, retention, "0", "1y", "24h")
        yield from removed(document, retention)
        yield f"{tenant} renamed", put(drop(document, (*tenants, tenant)), (*tenants, f"{tenant}|shared"), {})
    yield from replaced(document, (*tenants, "shared"), {"retention_period": "30d"})


def _node_services(document: Any) -> Iterator[Edit]:
    yield from replaced(document, ("baseRateHz",), 997)
    yield from replaced(document, ("optOutAnnotation",), "other")
    yield from removed(document, ("excludedNamespaces",))
    yield from replaced(document, ("excludedNamespaces",), [])
    for service in each(document, ("services",)):
        yield from removed(document, service)
        yield from replaced(document, (*service, "sampleRateHz"), 997, 0)
        yield from replaced(document, (*service, "team"), "other")
        yield from replaced(document, (*service, "namespace"), "other")
        yield from replaced(document, (*service, "selector"), {})
    yield from appended(document, ("services",), {"service": "shadow", "team": "payments", "sampleRateHz": 99})


def _service(document: Any) -> Iterator[Edit]:
    rate: Path = ("spec", "profiling", "sampleRateHz")
    yield from replaced(document, rate, 100, 997, -1)
    yield from removed(document, rate)
    yield from removed(document, ("spec", "budget"))
    yield from replaced(document, ("spec", "budget", "monthlyUsd"), 1e6, 0)
    yield from replaced(document, ("spec", "budget", "storedGb"), 1e6, 0)
    yield from removed(document, ("metadata", "team"))
    yield from replaced(document, ("metadata", "team"), "other")
    yield from removed(document, ("metadata", "repository"))
    yield from replaced(document, ("metadata", "repository"), "https://example.org/some/one")


def _team(document: Any) -> Iterator[Edit]:
    for field in ("fineDays", "downsampledDays"):
        yield from replaced(document, ("spec", "retention", field), 7, 29, 91, 365)
        yield from removed(document, ("spec", "retention", field))
    yield from removed(document, ("spec", "monthlyUsd"))
    yield from replaced(document, ("spec", "monthlyUsd"), 1e9)
    for path in (("metadata", "owners"), ("metadata", "slack"), ("spec", "groups")):
        yield from removed(document, path)
    yield from appended(document, ("spec", "groups"), "everyone")


def _organisation(document: Any) -> Iterator[Edit]:
    yield from appended(document, ("spec", "repositoryHosts"), "example.org")
    yield from appended(document, ("spec", "platformGroups"), "everyone")
    yield from removed(document, ("spec", "limits"))
    yield from removed(document, ("spec", "excludedNamespaces"))


_DECLARATIONS = {"Service": _service, "Team": _team, "Organisation": _organisation}


def _java(manifest: Manifest, key: str, text: str) -> Iterator[Edit]:
    """jfropts=3 keeps system properties and command lines, which hold passwords, out of every upload."""
    for what, changed in (
        ("jfropts weakened", text.replace("jfropts=3", "jfropts=1")),
        ("jfropts removed", re.sub(r".*jfropts.*\n", "", text)),
    ):
        yield what, put(manifest, ("data", key), changed)
