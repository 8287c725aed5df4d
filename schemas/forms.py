"""Forms of the texts that services, teams and the organisation declare."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.base import HOST, PORT, UNSEEN, Conflict, Text, form, refuse
from schemas.promql import problem

LabelKey = Annotated[
    str,
    form(
        rf"^({HOST}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?$",
        "a Kubernetes label key: [prefix/]name, as in app.kubernetes.io/name",
    ),
]
LabelValue = Annotated[
    str,
    form(
        r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$",
        "a Kubernetes label value: at most 63 letters, digits, hyphens, dots and underscores",
    ),
]


def _as_tokens_say(url: str) -> str:
    if url.endswith(".git"):
        refuse([Conflict("037", (), "the repository is named with .git", valid=(url.removesuffix(".git"),))])
    return url


RepositoryUrl = Annotated[
    str,
    form(
        rf"^https://{HOST}{PORT}(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*){{2,8}}$",
        "an https URL of a repository, without user, query, .. and closing slash: https://git.example.com/acme/checkout",
    ),
    AfterValidator(_as_tokens_say),
]
# No step is `.` or `..`: the folder lies inside the repository.
_STEP = r"\.?[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*"
Folder = Annotated[
    str,
    form(
        rf"^(\.|{_STEP}(/{_STEP})*)$",
        "a folder inside the repository, without .. and slashes at the ends: services/checkout; . is the whole of it",
    ),
]
_Line = Annotated[
    str,
    form(
        rf"^[^\s{UNSEEN}]([^\r\n{UNSEEN}]*[^\s{UNSEEN}])?$",
        "text in one line, without blanks at its ends and characters that are not seen",
    ),
]
Prefix = _Line


def _is_promql(text: str) -> str:
    if wrong := problem(text):
        refuse([Conflict("036", (), f"the query is no PromQL: {wrong}")])
    return text


PromQl = Annotated[Text, AfterValidator(_is_promql)]
Port = Annotated[int, Field(ge=1, le=65535)]
CodeOwner = Annotated[
    str,
    form(
        r"^@[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        'a code owner, in quotes: "@acme/payments" or "@jane"',
    ),
]
Host = Annotated[str, form(rf"^{HOST}$", "a host name, without https:// and path: git.example.com")]
Group = _Line
