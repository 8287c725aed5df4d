"""Keep one comment on a pull request: made once, then edited. Standard library alone, so that CI can run it unbuilt.

    python -m flameplane.review.post --repository acme/platform --pull-request 7 plan-prod.md plan-staging.md

The first file is shown whole, each further one folded under its own title. Only a comment of our own author that starts
with the marker is edited: anybody can write the marker into a comment. Without the right to write, as in pull requests
from forks, the comment goes to the summary of the job, and that is no failure.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

MARKER: Final = "<!-- flameplane-review: one comment, edited with every push -->"
AUTHOR: Final = "github-actions[bot]"  # who GITHUB_TOKEN writes as
LIMIT: Final = 65_000  # characters of a comment; GitHub takes 65,536
PAGES: Final = 50  # of 100 comments that are looked through
TIMEOUT: Final = 30  # seconds an answer may take
_NEXT: Final = re.compile(r'<([^<>]+)>;\s*rel="next"')
_TITLE: Final = re.compile(r"^## (.*)$", re.MULTILINE)


class Refused(Exception):
    """GitHub does not let us: ``code`` is its HTTP status."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(f"GitHub answers {code} to {what}")
        self.code = code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Comments:
    """The comments of one pull request."""

    def __init__(self, api: str, token: str, repository: str, number: int) -> None:
        self._api, self._token = api.rstrip("/"), token
        self._url = f"{self._api}/repos/{repository}/issues/{number}/comments"
        self._edit = f"{self._api}/repos/{repository}/issues/comments"

    def keep(self, body: str, author: str = AUTHOR) -> str:
        """Edit our comment, or make it; says which. An unchanged one is left alone. Raises ``Refused``."""
        mine = next((c for c in self._all() if _is_ours(c, author)), None)
        if mine is None:
            self._call("POST", self._url, {"body": body})
            return "created"
        if _text(mine) == body.rstrip():
            return "unchanged"
        self._call("PATCH", f"{self._edit}/{int(mine['id'])}", {"body": body})
        return "edited"

    def _all(self) -> Iterator[dict[str, Any]]:
        url: str | None = f"{self._url}?per_page=100"
        for _ in range(PAGES):
            if url is None:
                return
            found, url = self._call("GET", url)
            yield from found

    def _call(self, method: str, url: str, body: dict[str, str] | None = None) -> tuple[Any, str | None]:
        """The answer and the address of its next page. The token goes to the API's own host alone."""
        if not url.startswith(f"{self._api}/"):
            raise Refused(0, f"a page outside {self._api}")
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - begins with the API's address
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
                following = _NEXT.search(answer.headers.get("Link", ""))
                return json.load(answer), following[1] if following else None
        except urllib.error.HTTPError as error:
            raise Refused(error.code, f"{method} of a comment") from None


def joined(pages: Sequence[str]) -> str:
    """One comment of several plans: the first whole, the others folded under their titles, as many as fit."""
    first, *others = (page.replace(MARKER, "").strip() for page in pages)
    text = f"{MARKER}\n{first}\n"
    for other in others:
        title = _TITLE.search(other)
        rest = _TITLE.sub("", other, count=1).strip()
        name = title[1] if title else "further plan"
        folded = f"\n<details><summary>{name}</summary>\n\n{rest}\n\n</details>\n"
        short = f"\n{name}: too long for this comment, see the output of the job.\n"
        text += folded if len(text) + len(folded) + len(short) * len(others) <= LIMIT else short
    return text


def _is_ours(comment: dict[str, Any], author: str) -> bool:
    return (comment.get("user") or {}).get("login") == author and _text(comment).startswith(MARKER)


def _text(comment: dict[str, Any]) -> str:
    """GitHub gives lines back with CR LF."""
    return str(comment.get("body") or "").replace("\r\n", "\n").rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 kept, or shown in the summary instead; 2 usage; 3 GitHub could not be asked."""
    parser = argparse.ArgumentParser(prog="python -m flameplane.review.post", description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, metavar="FILE", help="Markdown of `flameplane plan`")
    parser.add_argument("--repository", required=True, metavar="OWNER/NAME")
    parser.add_argument("--pull-request", required=True, type=int, metavar="NUMBER")
    parser.add_argument("--author", default=AUTHOR, help="login that the token writes as")
    given = parser.parse_args(arguments)
    token = os.environ.get("GITHUB_TOKEN")
    if not token or not re.fullmatch(r"[\w.-]+/[\w.-]+", given.repository):
        parser.error("GITHUB_TOKEN has to be set, and --repository is OWNER/NAME")
    pages = [page.read_text(encoding="utf-8") for page in given.pages if page.is_file()]
    if not pages:
        parser.error(f"none of {', '.join(map(str, given.pages))} exists")
    body = joined(pages)
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    try:
        done = Comments(api, token, given.repository, given.pull_request).keep(body, given.author)
    except Refused as error:
        if error.code not in (401, 403, 404):
            sys.stderr.write(f"{error}\n")
            return 3
        done = f"not made ({error}); it is in the summary of the job"
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(body)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"GitHub could not be asked: {error}\n")
        return 3
    sys.stdout.write(f"comment {done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
