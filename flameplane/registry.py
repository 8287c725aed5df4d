"""Ask a container registry for the digest of a tag (OCI distribution specification 1.1, "Pulling manifests").

Speaks what every registry offers: anonymous access, Basic, and Bearer tokens (RFC 6750, as Docker's registries use it).
Credentials are those of ``docker login`` in ``config.json``; credential helpers are not called. Redirects to another
host lose the Authorization header, so a password reaches only the registry it is for.
"""

import base64
import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final

# An index is asked for first: its digest holds for every architecture.
MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
TIMEOUT: Final = 30  # seconds an answer may take
MANIFEST_BYTES: Final = 4 << 20  # the specification lets registries refuse larger ones


_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"  # as the specification names repositories
_ADDRESS: Final = re.compile(rf"(?P<host>{_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{1,5}}))?(/{_PART})*")


class RegistryError(Exception):
    """The registry could not be asked, or its answer cannot be trusted; the message says which and what to do."""


class NoAddress(RegistryError):
    """What was named is no address of a registry; nothing was asked."""


def check_address(registry: str) -> None:
    """Raise ``NoAddress`` unless ``registry`` is ``host[:port][/path]``; instead of an IPv6 address, name the host."""
    found = _ADDRESS.fullmatch(registry)
    if not found or len(found["host"]) > 253 or not 0 < int(found["port"] or 443) < 65536:
        raise NoAddress(
            f"{registry!r} is no registry: host[:port][/path] in lower case and without https://, "
            "such as registry.example.com/flameplane."
        )


def digest(registry: str, repository: str, tag: str) -> str:
    """Digest of ``registry/repository:tag``, computed from the manifest that the registry serves.

    ``registry`` is ``host[:port][/path]``. Raises ``RegistryError``, also when the registry's own digest disagrees.
    """
    check_address(registry)
    host, _, path = registry.partition("/")
    name = f"{path}/{repository}" if path else repository
    url = f"{_scheme(host)}://{host}/v2/{name}/manifests/{urllib.parse.quote(tag, safe='')}"
    headers = {"Accept": ", ".join(MANIFESTS)}
    try:
        body, said = _get(url, headers | _basic(host))
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != 401 or not challenge.lower().startswith("bearer "):
            raise RegistryError(_refused(error.code, host, f"{name}:{tag}")) from error
        token = _token(challenge, host, name)
        try:
            body, said = _get(url, headers | {"Authorization": f"Bearer {token}"})
        except urllib.error.HTTPError as again:
            raise RegistryError(_refused(again.code, host, f"{name}:{tag}")) from again
    found = "sha256:" + hashlib.sha256(body).hexdigest()
    if said.startswith("sha256:") and said != found:
        raise RegistryError(
            f"{host} says that {name}:{tag} is {said}, but what it serves is {found}; nothing was locked."
        )
    return found


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the Authorization header goes no further than the host it was meant for."""

    def redirect_request(  # noqa: PLR0917 - the signature of the standard library
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if new and urllib.parse.urlsplit(newurl)[:2] != urllib.parse.urlsplit(req.full_url)[:2]:
            new.remove_header("Authorization")
        return new


def _get(url: str, headers: dict[str, str]) -> tuple[bytes, str]:
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) by construction
        with urllib.request.build_opener(_SameHost).open(request, timeout=TIMEOUT) as answer:
            body = answer.read(MANIFEST_BYTES + 1)
            digest_said = answer.headers.get("Docker-Content-Digest", "")
    except urllib.error.HTTPError:
        raise
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a redirect or token that is none
        reason = getattr(error, "reason", error)
        raise RegistryError(f"{url.partition('?')[0]} cannot be asked: {reason}.") from error
    if len(body) > MANIFEST_BYTES:
        raise RegistryError(f"{url} is larger than {MANIFEST_BYTES} bytes; that is no image manifest.")
    return body, digest_said


def _token(challenge: str, host: str, name: str) -> str:
    """The Bearer token for pulling ``name``, from the place that the registry's challenge names."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.get("realm", "")
    if not realm.startswith(("https://", f"{_scheme(host)}://")):
        raise RegistryError(f"{host} sends clients to {realm or 'nowhere'} for a token; only https is followed.")
    query = {"service": fields.get("service", ""), "scope": fields.get("scope", f"repository:{name}:pull")}
    try:
        body, _ = _get(f"{realm}?{urllib.parse.urlencode(query)}", _basic(host))
        answer = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
    except urllib.error.HTTPError as error:
        raise RegistryError(_refused(error.code, host, name)) from error
    except (ValueError, AttributeError) as error:
        raise RegistryError(f"{realm} did not answer with a token.") from error
    if not isinstance(token, str):
        raise RegistryError(f"{realm} did not answer with a token.")
    return token


def _basic(host: str) -> dict[str, str]:
    """Header with the credentials of ``docker login HOST``, where there are any."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        entry = json.loads((folder / "config.json").read_text()).get("auths", {}).get(host, {})
        auth = entry.get("auth", "")
        base64.b64decode(auth, validate=True)
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return {"Authorization": f"Basic {auth}"} if auth else {}


def _scheme(host: str) -> str:
    """https; http for a registry on this machine, as container tools have it."""
    return "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"


def _refused(code: int, host: str, what: str) -> str:
    reasons = {
        401: f"asks for a login; run `docker login {host}` (credential helpers are not used)",
        403: f"refuses these credentials for {what}",
        404: f"has no {what}; push it there first or name another tag",
    }
    return f"{host} {reasons.get(code, f'answers {code} for {what}')}."
