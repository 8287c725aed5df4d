"""Certificates and kubeconfigs, made once per cluster by the `openssl` of the unpacked packages.

One authority signs servers and clients. Keys are elliptic (P-256), readable by root only, and never leave the cluster's
folder; `down` deletes them.
"""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from local.cluster.layout import (
    API_PORT,
    API_SERVICE_ADDRESS,
    DOMAIN,
    NAME,
    NODE_ADDRESS,
    PKI,
)
from local.cluster.node import Node

DAYS = 3650  # a local cluster is thrown away long before
SECTIONS = """[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Certificate:
    """What is asked for: a server (with the names it answers to) or a client (subject = Kubernetes user and group)."""

    name: str
    subject: str
    names: tuple[str, ...] = ()


API_NAMES = (
    *(f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", f".default.svc.{DOMAIN}")),
    *("DNS:localhost", "IP:127.0.0.1", f"IP:{API_SERVICE_ADDRESS}", f"IP:{NODE_ADDRESS}"),
)
CERTIFICATES = (
    Certificate("apiserver", "/CN=kube-apiserver", API_NAMES),
    Certificate("kubelet-server", f"/CN={NAME}", (f"DNS:{NAME}", f"IP:{NODE_ADDRESS}")),
    Certificate("apiserver-kubelet-client", "/O=system:masters/CN=apiserver-kubelet-client"),
    Certificate("admin", "/O=system:masters/CN=flameplane-local-admin"),
    Certificate("controller-manager", "/CN=system:kube-controller-manager"),
    Certificate("scheduler", "/CN=system:kube-scheduler"),
    Certificate("kube-proxy", "/CN=system:kube-proxy"),
    Certificate("kubelet", f"/O=system:nodes/CN=system:node:{NAME}"),
)
CLIENTS = (
    "admin",
    "controller-manager",
    "scheduler",
    "kube-proxy",
    "kubelet",
)  # each has a kubeconfig in /etc/kubernetes


def make(node: Node, disk: Path) -> None:
    """All keys and certificates, unless a complete set for the same names is there, and a kubeconfig per client."""
    folder = disk / PKI.lstrip("/")
    complete, wanted = folder / "complete", repr((SECTIONS, CERTIFICATES))
    if not complete.exists() or complete.read_text() != wanted:
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        _issue_all(node, folder)
        complete.write_text(wanted)
    for client in CLIENTS:
        _write_kubeconfig(folder, client, disk / f"etc/kubernetes/{client}.conf")


def _issue_all(node: Node, folder: Path) -> None:
    (folder / "openssl.cnf").write_text(SECTIONS + "".join(map(_section, CERTIFICATES)))
    _openssl(node, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{PKI}/sa.key")
    _openssl(node, "pkey", "-in", f"{PKI}/sa.key", "-pubout", "-out", f"{PKI}/sa.pub")
    _issue(node, "ca", f"/CN={NAME}")
    for certificate in CERTIFICATES:
        _issue(node, certificate.name, certificate.subject, "-CA", f"{PKI}/ca.crt", "-CAkey", f"{PKI}/ca.key")


def _section(certificate: Certificate) -> str:
    usage = "serverAuth" if certificate.names else "clientAuth"
    lines = ["basicConstraints = CA:FALSE", "keyUsage = critical, digitalSignature", f"extendedKeyUsage = {usage}"]
    lines += ["authorityKeyIdentifier = keyid"]
    if certificate.names:
        lines.append(f"subjectAltName = {','.join(certificate.names)}")
    return "\n".join([f"[{certificate.name}]", *lines, ""])


def _issue(node: Node, name: str, subject: str, *signer: str) -> None:
    key, certificate = f"{PKI}/{name}.key", f"{PKI}/{name}.crt"
    _openssl(
        node,
        *("req", "-x509", "-config", f"{PKI}/openssl.cnf", "-extensions", name, "-days", str(DAYS), "-sha256"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", subject),
        *("-keyout", key, "-out", certificate, *signer),
    )


def _openssl(node: Node, *words: str) -> None:
    node.run("/usr/bin/openssl", *words, doing="make the cluster's certificates")


def _write_kubeconfig(folder: Path, client: str, target: Path) -> None:
    """A kubeconfig (JSON is YAML) with the client's certificate and key from `folder` inside, for its owner only."""

    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    server = f"https://{NODE_ADDRESS}:{API_PORT}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
        "users": [
            {
                "name": NAME,
                "user": {"client-certificate-data": data(f"{client}.crt"), "client-key-data": data(f"{client}.key")},
            }
        ],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }
    target.touch(mode=0o600)
    target.write_text(json.dumps(document, indent=2) + "\n")
