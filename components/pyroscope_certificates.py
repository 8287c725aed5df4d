"""Certificates of the backend and of the gateway, made and renewed by cert-manager."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components import tls
from components.backend_urls import DOORS
from components.base import Component
from components.pyroscope_identities import PROCESS, account
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE

API: Final = "cert-manager.io/v1"
LIFE: Final = "2160h"  # 90 days
RENEWED: Final = "720h"  # 30 days before the end: time to notice that it does not work


@dataclass(frozen=True)
class CertificatesArgs:
    """Name of the ClusterIssuer: a CA that signs for this platform alone."""

    issuer: str


class Certificates(Component):
    """One Certificate for Pyroscope, one for the gateway. cert-manager and the issuer exist already.

    The backend's is for both ends of a call: its parts call each other. New ones are picked up at the next handshake; a
    new CA is not, so for a while it signs beside the old one, and pods are restarted in between.
    """

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "Certificates", name, opts)
        issuer = {"name": args.issuer, "kind": "ClusterIssuer", "group": "cert-manager.io"}
        names = [tls.PEER_NAME, *(f"{account(role)}.{BACKEND_NAMESPACE}.svc" for role in DOORS)]
        CustomResource(
            f"{BACKEND_NAMESPACE}/{tls.SERVER_SECRET}",
            api_version=API,
            kind="Certificate",
            metadata=self.metadata(tls.SERVER_SECRET, BACKEND_NAMESPACE, app=PROCESS),
            spec={
                "secretName": tls.SERVER_SECRET,
                "issuerRef": issuer,
                "commonName": PROCESS,
                "dnsNames": names,
                "usages": ["digital signature", "server auth", "client auth"],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "duration": LIFE,
                "renewBefore": RENEWED,
            },
            opts=self.options(),
        )
        CustomResource(
            f"{ACCESS_NAMESPACE}/{tls.CLIENT_SECRET}",
            api_version=API,
            kind="Certificate",
            metadata=self.metadata(tls.CLIENT_SECRET, ACCESS_NAMESPACE, app="gateway"),
            spec={
                "secretName": tls.CLIENT_SECRET,
                "issuerRef": issuer,
                "commonName": "gateway",
                "dnsNames": [f"gateway.{ACCESS_NAMESPACE}.svc"],
                "usages": ["digital signature", "client auth"],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "duration": LIFE,
                "renewBefore": RENEWED,
            },
            opts=self.options(),
        )
        self.register_outputs({})
