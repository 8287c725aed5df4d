"""Secrets: none is in what is declared. Programs read them from Secrets that somebody else fills."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import WORKLOADS, breaks, containers, items, texts
from policies.rule import Manifest, Rule, Violation

# Forms that only credentials have. Sources: the tokens' own documentation (AWS, GitHub, GitLab, Slack, Grafana, RFC
# 7468 for PEM, RFC 7519 for JWT, RFC 3986 for user information in URLs).
FORMS: Final = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
        (r"\b(AKIA|ASIA)[0-9A-Z]{16}\b", "an AWS access key"),
        (r"\bgh[pousr]_[A-Za-z0-9]{30,}", "a GitHub token"),
        (r"\bgithub_pat_[A-Za-z0-9_]{30,}", "a GitHub token"),
        (r"\bglpat-[A-Za-z0-9_-]{20,}", "a GitLab token"),
        (r"\bxox[abeprs]-[A-Za-z0-9-]{10,}", "a Slack token"),
        (r"hooks\.slack\.com/services/T[A-Za-z0-9_/]+", "a Slack webhook"),
        (r"\bgl(sa|c)_[A-Za-z0-9_=]{20,}", "a Grafana token"),
        (r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.", "a JWT"),
        (r"[a-z][a-z0-9+.-]*://[^\s/:@$]+:[^\s/@$]+@", "a password in a URL"),
    )
)
# Names whose value is a credential, unless it is a reference: a file, a variable, a Secret's name.
NAME: Final = re.compile(
    r"(?i)(^|[_.-])(password|passwd|pwd|passphrase|secret|secret[_-]?key|secret[_-]?access[_-]?key|api[_-]?key|"
    r"access[_-]?key([_-]?id)?|auth[_-]?token|token|client[_-]?secret|private[_-]?key|credentials?)$"
)
REFERENCE: Final = re.compile(r"^(|/[\w./-]+|\$__file\{[^}]*\}|\$\{?\w+\}?|\$\(\w+\)|true|false|[0-9]+[smhd]?)$")
ASSIGNED: Final = re.compile(
    r"^[ \t-]*[\"']?(?P<name>[A-Za-z][\w.-]*)[\"']?[ \t]*[:=][ \t]*[\"']?(?P<value>[^\s\"'#,{\[|>][^\n\"']*)", re.M
)


def _secrets(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if manifest.get("kind") == "Secret":
            yield breaks(
                manifest, "is declared here, and with it what is in it: name it, and let the secret store fill it"
            )
        elif manifest.get("kind") == "ConfigMap":
            for field in ("data", "binaryData"):
                for key, text in (manifest.get(field) or {}).items():
                    for what in _found(key, str(text)):
                        yield breaks(manifest, f"holds {what} in {key}")
        else:
            yield from _pod(manifest)


def _pod(manifest: Manifest) -> Iterator[Violation]:
    for container in containers(manifest):
        for variable in items(container.body.get("env")):
            for what in _found(str(variable.get("name")), str(variable.get("value") or "")):
                yield container.breaks(f"holds {what} in the variable {variable.get('name')}; use secretKeyRef")
        for argument in (*texts(container.body.get("command")), *texts(container.body.get("args"))):
            flag, _, value = argument.lstrip("-").partition("=")
            for what in _found(flag, value or argument):
                yield container.breaks(f"holds {what} in an argument ({flag}); mount a Secret")
        for source in items(container.body.get("envFrom")):
            if source.get("secretRef"):
                yield container.breaks("takes a whole Secret into its environment (envFrom); name single keys")


def _found(name: str, text: str) -> Iterator[str]:
    """What a value holds that is a secret, by its form, its name, or the names in it."""
    for pattern, what in FORMS:
        if pattern.search(text):
            yield what
    if "\n" not in text and NAME.search(name) and not REFERENCE.match(text.strip()):
        yield f"the value of {name}"
    if "\n" in text:
        for found in ASSIGNED.finditer(text):
            if NAME.search(found["name"]) and not REFERENCE.match(found["value"].strip()):
                yield f"the value of {found['name']}"


RULES: Final = (
    Rule(
        id="FP019",
        name="no-secrets",
        why="What is declared is in the repository, in Pulumi's state, in the plan and in a comment on a pull request.",
        remediation="Name a Secret in the settings and read single keys of it (secretKeyRef, a mounted file); let the "
        "secret store fill it.",
        kinds=("ConfigMap", "Secret", *WORKLOADS),
        check=_secrets,
        waivable=False,
    ),
)
