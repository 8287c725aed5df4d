"""What a comment may show. A pull request can be public, so that values are shown by an allow-list.

Values of settings are replaced by the names of the settings, wherever they stand, unless the list below lets them
through; values in objects are shown when they are numbers, switches or sizes. What services/ declares lies in the same
pull request and is shown. Last, whatever looks like a credential, an account or a bucket of ours is taken out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from flameplane.catalog.tree import show_path
from flameplane.findings import Finding
from flameplane.plan.recording import Recording
from flameplane.plan.values import walk
from schemas.allowed import EGRESS_PROXY, NAMESPACES
from schemas.settings import Settings

# Settings whose values say nothing about accounts, hosts and people.
_SHOWN: Final = frozenset(
    (
        "environment",
        "kubernetesVersion",
        "architecture",
        "segmentDuration",
        "apiVersion",
        "kind",
        "mode",
        "rules",
        "storageClass",
        "metastore",
        "blocks",
        "grafanaNamespace",
        "prometheusNamespace",
    )
)
_WORD: Final = re.compile(r"[A-Za-z]+")  # a word names nothing; identities have digits or separators
_SHORTEST: Final = 6  # characters of a value that is looked for elsewhere
_PLAIN: Final = re.compile(
    r"[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti|k|M|G|ms|s|h|d|Hz|%)?|true|false|open|sha256:[0-9a-f]{1,12}"
)
_ACCOUNT: Final = re.compile(r"[0-9]{12,}")
_NAMES: Final = ("bucket", "keyId", "targetKeyId", "vpcId", "vpcEndpointId", "accountId", "subscriberEmailAddresses")

# Shapes of credentials and identities, each with what stands in its place.
_SHAPES: Final = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"-----BEGIN [A-Z ]+-----[\s\S]*?(-----END [A-Z ]+-----|$)", "‹key›"),
        (r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", "‹access key›"),
        (r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,})", "‹token›"),
        (r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "‹token›"),
        (r"\b(pul|sk|pk|rk)[-_][A-Za-z0-9_-]{20,}", "‹token›"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "‹token›"),
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{12,}", "‹token›"),
        (r"(?i)((?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'<,;)|`]{6,}", r"\1‹secret›"),
        (r"://[^/\s:@]+:[^/\s@]+@", "://‹secret›@"),
        (r"\barn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9]*:[^\s\"'`|<,)]+", "‹arn›"),
        (r"\b(vpc|vpce|subnet|sg|rtb|eni|i|o)-(?=[a-z]*[0-9])[0-9a-z]{8,32}\b", "‹id›"),
        (r"\b[a-z0-9][a-z0-9.-]*-flameplane-(profiles|audit|state)(-[a-z0-9-]+)?\b", "‹bucket›"),
        (r"(?<![0-9A-Za-z:-])[0-9]{12}(?![0-9A-Za-z])", "‹account›"),
        (r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\b", "‹e-mail›"),
        # 40 and more of base64, mixed as only random text is; hexadecimal digests and commits are not.
        (
            r"(?<![\w:/+.-])(?=[A-Z0-9+/]*[a-z])(?=[a-z0-9+/]*[A-Z])(?=([A-Za-z+/]*[0-9]){4})[A-Za-z0-9+/]{40,}={0,2}(?![\w/+-])",
            "‹secret›",
        ),
    )
)


class Redactor:
    """Takes out of a text what must not be in a comment."""

    def __init__(self, settings: tuple[Settings | None, ...], recordings: tuple[Recording | None, ...]) -> None:
        values: dict[str, str] = {}
        for recording in recordings:
            values |= dict(_identities(recording)) if recording else {}
        for one in settings:
            values |= dict(_hidden(one)) if one else {}
        self._values = values
        longest = sorted(values, key=len, reverse=True)
        self._known = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest))})(?![\w-])") if longest else None

    def text(self, text: str) -> str:
        """The text without identities and credentials."""
        if self._known:
            text = self._known.sub(lambda found: f"‹{self._values[found[0]]}›", text)
        for pattern, word in _SHAPES:
            text = pattern.sub(word, text)
        return text

    def tree(self, value: Any) -> Any:
        """A document with all its texts so."""
        if isinstance(value, Mapping):
            return {key: self.tree(below) for key, below in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(below) for below in value]
        return self.text(value) if isinstance(value, str) else value

    def finding(self, finding: Finding) -> Finding:
        """A finding with its texts so; where it stands is kept."""
        return replace(
            finding,
            message=self.text(finding.message),
            valid=tuple(map(self.text, finding.valid)),
            fix=self.text(finding.fix),
            subject=self.text(finding.subject),
            waived=self.text(finding.waived),
        )

    @staticmethod
    def may_show(value: Any, key: str = "") -> bool:
        """Whether a value of an object or a setting may be shown; ``key`` is the last step of its path."""
        if isinstance(value, bool) or value is None or key in _SHOWN:
            return True
        if isinstance(value, int | float):
            return not _ACCOUNT.fullmatch(str(value))
        return isinstance(value, str) and _PLAIN.fullmatch(value) is not None and not _ACCOUNT.fullmatch(value)


# Names that the program's own source holds: what has such a value says nothing about a setting that has it, too.
_CONSTANTS: Final = frozenset((*NAMESPACES, EGRESS_PROXY))


def _hidden(settings: Settings) -> Iterator[tuple[str, str]]:
    """Texts of the settings that are not on the list, with the setting that holds them."""
    for path, value in walk(settings.model_dump(mode="json", by_alias=True)):
        key = re.sub(r"\[.*", "", path).rpartition(".")[2]
        if not isinstance(value, str) or len(value) < _SHORTEST or _WORD.fullmatch(value):
            continue
        if value in _CONSTANTS:
            continue
        if not Redactor.may_show(value, key):
            yield value, path


def _identities(recording: Recording) -> Iterator[tuple[str, str]]:
    """Names and ids that cloud resources are given, whether they stand in the settings or were computed."""
    for resource in recording.resources:
        if resource.type.startswith("aws:"):
            for path, value in walk(resource.inputs):
                key = path.rpartition(".")[2].partition("[")[0]
                if key in _NAMES and isinstance(value, str) and len(value) >= _SHORTEST:
                    yield value, f"{resource.name} {show_path((key,))}"
