"""Addresses in anything that the platform is told: its own Services, and hosts that the settings name; a part of FP035.

A list of what is known to be bad would never end, so a host that nobody named is a finding, in whatever variable, flag
or file it stands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from policies.backstop import Suspect
from policies.context import Platform
from policies.objects import WORKLOADS, breaks, name, namespace
from policies.rule import Manifest
from policies.wording import POLICIES, worded
from schemas.allowed import NAMESPACES

# A URL; or a name with dots, or an address, and a port. Dots and colons also stand in names of metrics and in times,
# so the last label of a name has to be letters, and the port a whole number.
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://(?:[^\s/@\"']*@)?(\[[0-9a-f:]+\]|[A-Za-z0-9._-]+)", re.IGNORECASE)
_PORT: Final = re.compile(
    r"(?<![\w./@-])((?:[a-z0-9-]+\.)+[a-z]{2,}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{2,5}(?![\w.-])", re.IGNORECASE
)
_HERE: Final = re.compile(r"127\.[0-9.]+|localhost|\[::1\]|0\.0\.0\.0|\[::\]")
_SERVICE: Final = re.compile(rf"[a-z0-9.-]+\.(?:{'|'.join(NAMESPACES)})\.svc(?:\.cluster\.local)?", re.IGNORECASE)
# Rules FP008, FP053, FP054 and FP055 compare these with what was reviewed, every address in them included.
_COMPARED: Final = re.compile(
    r"gateway|ci-gate|grants|pyroscope-(config|overrides)|egress-proxy|node-services|flameplane-(rules|datasources|dashboards)|"
    r"(inject|catalog)-[a-z0-9-]+|grafana-(hardening|providers)"
)
_KINDS: Final = ("ConfigMap", *POLICIES, *WORKLOADS)


def judged(platform: Platform) -> Iterator[Suspect]:
    """Every address that is neither ours nor the settings'."""
    known = hosts(platform)
    for manifest in platform.objects.values():
        if manifest.get("kind") in _KINDS and _ours(manifest):
            for where, text in worded(manifest):
                found = dict.fromkeys((*_URL.findall(text), *_PORT.findall(text)))
                for host in (h.lower() for h in found):
                    if host not in known and not _HERE.fullmatch(host) and not _SERVICE.fullmatch(host):
                        how = f"names {host} in {where}, a host that no setting names"
                        yield Suspect(breaks(manifest, how), manifest, _without(manifest, host))


def _without(value: Any, host: str) -> Any:
    """An object without the entries that name a host, in a list or as a text."""
    if isinstance(value, Mapping):
        return {key: _without(below, host) for key, below in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without(v, host) for v in value if not _names(v.get("value") if isinstance(v, Mapping) else v, host)]
    return "" if _names(value, host) else value


def _names(value: Any, host: str) -> bool:
    return isinstance(value, str) and host in value.lower()


def hosts(platform: Platform) -> set[str]:
    """Hosts of the settings, those of the repositories, and the API group that our own documents are versioned by."""
    found = set(platform.catalog.organisation.spec.repository_hosts)
    for text in _texts(platform.settings.model_dump(mode="json")):
        host = urlsplit(text if "://" in text else f"//{text}").hostname
        if host:
            found.add(host.lower())
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below)


def _ours(manifest: Manifest) -> bool:
    if manifest.get("kind") == "ConfigMap" and _COMPARED.fullmatch(name(manifest)):
        return False
    return namespace(manifest) in NAMESPACES or name(manifest).startswith("flameplane-")
