"""TLS inside: who asks the backend shows a certificate, and so does the backend."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import at, breaks, documents, items, namespace
from policies.pyroscope import ConfigFile, config_files, flags
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ACCESS_NAMESPACE

SERVERS: Final = ("http_tls_config", "grpc_tls_config")
VERIFY: Final = "RequireAndVerifyClientCert"
VERSIONS: Final = ("VersionTLS12", "VersionTLS13")
LOOPBACK: Final = ("127.", "localhost")
FILES: Final = ("cert_file", "key_file", "client_ca_file")


def _mutual(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    wanted = any(at(m, "spec", "backend", "tls") for m in manifests if m.get("kind") == SETTINGS)
    for config in config_files(manifests):
        split = (at(config.body, "metastore", "raft", "bootstrap_expect_peers") or 1) > 1
        if wanted or split or any(at(config.body, "server", server) for server in SERVERS):
            yield from _server(config)
            yield from _clients(config, config.body, ())
            yield from _gateway(manifests)
        if at(config.body, "storage", "s3", "insecure") and "amazonaws.com" in str(
            at(config.body, "storage", "s3", "endpoint")
        ):
            yield breaks(config.manifest, f"sends blocks to S3 without TLS (storage.s3.insecure in {config.key})")
    for container, flag, value in flags(manifests):
        if "tls" in flag and flag.startswith(("server.", "metastore.", "query-backend.", "segment-writer.")):
            yield container.breaks(f"has the flag -{flag}={value}, which beats the configuration files")


def _server(config: ConfigFile) -> Iterator[Violation]:
    for server in SERVERS:
        address = str(at(config.body, "server", server.replace("tls_config", "listen_address")) or "")
        if address.startswith(LOOPBACK):
            continue  # nobody but the process itself
        tls = at(config.body, "server", server) or {}
        if tls.get("client_auth_type") != VERIFY:
            how = f"asks callers for no certificate (server.{server}.client_auth_type in {config.key}; {VERIFY})"
            yield breaks(config.manifest, how)
        if missing := [f for f in FILES if not tls.get(f)]:
            yield breaks(config.manifest, f"has no server.{server}.{missing[0]} in {config.key}")
    if (version := at(config.body, "server", "tls_min_version")) not in VERSIONS:
        yield breaks(config.manifest, f"accepts TLS {version or 'of any version'}; valid: {', '.join(VERSIONS)}")


def _clients(config: ConfigFile, body: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    for key, value in body.items():
        if not isinstance(value, Mapping):
            continue
        if key.endswith("grpc_client_config"):
            where = ".".join((*path, key))
            if value.get("tls_enabled") is not True:
                yield breaks(config.manifest, f"does not set {where}.tls_enabled: true in {config.key}")
            if value.get("tls_insecure_skip_verify"):
                yield breaks(
                    config.manifest, f"trusts any certificate ({where}.tls_insecure_skip_verify in {config.key})"
                )
        yield from _clients(config, value, (*path, key))


def _gateway(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if manifest.get("kind") != "ConfigMap" or namespace(manifest) != ACCESS_NAMESPACE:
            continue
        for key, document in documents(manifest).items():
            backend = at(document, "backend")
            if backend is None or not at(document, "people"):
                continue
            urls = [backend] if isinstance(backend, str) else [v for v in backend.values() if isinstance(v, str)]
            for url in urls:
                if not url.startswith("https://"):
                    yield breaks(manifest, f"reaches the backend without TLS ({url} in {key})")
            tls = {} if isinstance(backend, str) else backend.get("tls") or {}
            if missing := [f for f in ("certificate", "key", "ca") if not tls.get(f)]:
                yield breaks(manifest, f"shows the backend no certificate (backend.tls.{missing[0]} in {key})")
            if items([k for k in tls if "skip" in k.lower() or "insecure" in k.lower()]):
                yield breaks(manifest, f"trusts any certificate of the backend ({key})")


RULES: Final = (
    Rule(
        id="FP039",
        name="mutual-tls",
        why="Pyroscope believes whoever reaches it; a certificate that only the gateway and the parts of Pyroscope "
        "have is what a pod in the wrong place lacks.",
        remediation=f"With `backend.tls`: client_auth_type {VERIFY} on both servers, tls_enabled on every client, "
        "https in gateway.yaml with a certificate of its own (components/tls.py).",
        kinds=("ConfigMap", "Deployment", "StatefulSet", SETTINGS),
        check=_mutual,
        scope="stack",
    ),
)
