"""What the backend is told: Pyroscope's configuration, its overrides per tenant, and the flags that would beat both."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.objects import WORKLOADS, Container, at, containers, documents, namespace, texts
from policies.rule import Manifest
from schemas.allowed import BACKEND_NAMESPACE

DEFAULT_RETENTION: Final = "31d"  # Pyroscope 2.x, `-retention-period`; 0 keeps profiles for ever
_DAY_MS: Final = 86_400_000
_UNITS_MS: Final = {"y": 365 * _DAY_MS, "w": 7 * _DAY_MS, "d": _DAY_MS, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION: Final = re.compile(r"(\d+)(ms|[ywdhms])")


@dataclass(frozen=True)
class ConfigFile:
    """One file of a ConfigMap, parsed."""

    body: Mapping[str, Any]
    manifest: Manifest
    key: str


def config_files(manifests: Sequence[Manifest]) -> Iterator[ConfigFile]:
    """Pyroscope's configuration files, known by what is in them: names may change."""
    yield from _files(manifests, ("multitenancy_enabled", "metastore", "limits", "segment_writer"))


def override_files(manifests: Sequence[Manifest]) -> Iterator[ConfigFile]:
    """Pyroscope's runtime configuration, with the limits of each tenant."""
    for file in _files(manifests, ("overrides",)):
        said = file.body.get("overrides")
        # What is no map of maps gives no tenant any limit.
        tenants = {t: of for t, of in said.items() if isinstance(of, Mapping)} if isinstance(said, Mapping) else {}
        yield ConfigFile({**file.body, "overrides": tenants}, file.manifest, file.key)


def _files(manifests: Sequence[Manifest], marks: tuple[str, ...]) -> Iterator[ConfigFile]:
    for manifest in manifests:
        if manifest.get("kind") == "ConfigMap" and namespace(manifest) == BACKEND_NAMESPACE:
            for key, body in documents(manifest).items():
                if isinstance(body, Mapping) and any(mark in body for mark in marks):
                    yield ConfigFile(body, manifest, key)


def flags(manifests: Sequence[Manifest]) -> Iterator[tuple[Container, str, str]]:
    """Every flag given to a container of the backend, as (container, name, value): a flag beats the file."""
    for manifest in manifests:
        if manifest.get("kind") in WORKLOADS and namespace(manifest) == BACKEND_NAMESPACE:
            for container in containers(manifest):
                words = " ".join((*texts(container.body.get("command")), *texts(container.body.get("args")))).split()
                for word, following in zip(words, [*words[1:], ""], strict=False):
                    if word.startswith("-") and word.strip("-"):
                        flag, equals, value = word.lstrip("-").partition("=")
                        apart = not equals and not following.startswith("-")
                        yield container, flag, following if apart else value


def retention(file: ConfigFile) -> str:
    """The retention of tenants that have none of their own."""
    return str(at(file.body, "limits", "retention_period") or DEFAULT_RETENTION)


def days(duration: str) -> float | None:
    """A Prometheus duration (`30d`, `720h`, `1w`) in days; None when it is none."""
    if duration == "0":
        return 0.0
    parts = _DURATION.findall(duration)
    if not parts or "".join(n + u for n, u in parts) != duration:
        return None
    return sum(int(number) * _UNITS_MS[unit] for number, unit in parts) / _DAY_MS
