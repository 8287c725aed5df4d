"""Secrets by their looks: what somebody pastes where only a secret's name belongs.

Prefixes are those by which the issuers' own scanners know their tokens (GitHub, GitLab, Slack, AWS, Grafana, HashiCorp,
Pulumi, npm, Google, Stripe; read 2026-11). No list is complete, so names of Secrets are looked at for long random words
as well.
"""

import re
from typing import Final

_KNOWN: Final = {
    "a token of Slack": r"xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}",
    "a webhook of Slack": r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]+",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of GitHub": r"\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}",
    "a token of GitLab": r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{16,}",
    "a token of Grafana": r"\bglsa_[A-Za-z0-9_]{20,}|\bglc_[A-Za-z0-9+/=]{20,}",
    "a token of Vault": r"\bhv[bs]\.[A-Za-z0-9_-]{20,}",
    "a token of Pulumi": r"\bpul-[a-f0-9]{40}\b",
    "a token of npm": r"\bnpm_[A-Za-z0-9]{30,}",
    "a key of Google": r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}",
    "a key of Stripe": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "a signed token (JWT)": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a password in a URL": r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)",
}
_ANY: Final = re.compile("|".join(_KNOWN.values()))
# Of a word: long, of letters and digits, with several digits. Names that people give have shorter or plainer words.
_RANDOM: Final = re.compile(r"(?=(?:[^0-9]*[0-9]){3})(?=(?:[^A-Za-z]*[A-Za-z]){3})[A-Za-z0-9+/=_]{16,}")
# Keys of the settings that name a Secret, and the map whose entries do.
_NAMES_A_SECRET: Final = re.compile(r"(?i)secret$")
# Keys under which other programs keep secrets, as in `aws:secretKey`.
_HOLDS_A_SECRET: Final = re.compile(r"(?i)(secret|token|password|passwd|apikey|accesskey|secretkey|privatekey)[a-z]*$")


def kind(text: str, path: tuple[str | int, ...] = ()) -> str:
    """What kind of secret ``text`` is, in words; empty if it looks like none. ``path`` is where it stands."""
    for what, pattern in _KNOWN.items():
        if re.search(pattern, text):
            return what
    names = [step for step in path if isinstance(step, str)]
    of_a_secret = bool(names) and (bool(_NAMES_A_SECRET.search(names[-1])) or "secrets" in names)
    if of_a_secret and any(_RANDOM.fullmatch(word) for word in re.split(r"[-.]", text)):
        return "a secret itself"
    return ""


def holds(key: str) -> bool:
    """Whether a key that is none of ours is one under which programs keep secrets: `aws:secretKey`, `github:token`."""
    return bool(_HOLDS_A_SECRET.search(key.replace("_", "").replace("-", "")))


def masked(text: str) -> str:
    """``text`` with what is known to be a secret made unreadable, character by character, so that columns stay."""
    return _ANY.sub(lambda found: "*" * len(found[0]), text)
