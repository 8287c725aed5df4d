"""Certificates as cert-manager would make them from the declared objects: tls.crt, tls.key and ca.crt."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

EXTENDED = {"server auth": "serverAuth", "client auth": "clientAuth", "digital signature": None}


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if not program:
        pytest.skip("NOT RUN: no openssl on PATH; it makes the certificates that cert-manager would")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path) -> Path:
    """A CA in a folder of its own: ca.crt and ca.key."""
    folder.mkdir(parents=True)
    key, certificate = folder / "ca.key", folder / "ca.crt"
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    _openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=flameplane backend", "-days", "2", "-out", certificate)
    return folder


def certificate(ca: Path, folder: Path, spec: Mapping[str, Any]) -> Path:
    """What a Certificate's Secret holds, as files."""
    folder.mkdir(parents=True)
    key, request, certificate = folder / "tls.key", folder / "request.csr", folder / "tls.crt"
    usages: Sequence[str] = [EXTENDED[usage] or "" for usage in spec["usages"] if EXTENDED[usage]]
    (folder / "extensions").write_text(
        f"subjectAltName={','.join(f'DNS:{name}' for name in spec['dnsNames'])}\n"
        f"extendedKeyUsage={','.join(usages)}\nkeyUsage=digitalSignature\n"
    )
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    _openssl("req", "-new", "-key", key, "-subj", f"/CN={spec['commonName']}", "-out", request)
    signing: list[str | Path] = ["-CA", ca / "ca.crt", "-CAkey", ca / "ca.key", "-CAcreateserial", "-days", "2"]
    _openssl("x509", "-req", "-in", request, *signing, "-extfile", folder / "extensions", "-out", certificate)
    shutil.copy(ca / "ca.crt", folder / "ca.crt")
    return folder
