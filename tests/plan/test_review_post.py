"""The one comment of a pull request, over real HTTP against a small GitHub API of our own.

Proves what is asked of GitHub and in which order; that the real API takes it, only a real pull request can show.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from github_api import BOT, Api, github

from flameplane.review.post import LIMIT, MARKER, Comments, Refused, joined

BODY = f"{MARKER}\n## Flameplane · prod: passes\n\nNothing changes.\n"


@pytest.fixture
def api() -> Iterator[Api]:
    """A pull request without comments."""
    with github() as server:
        yield server


@pytest.fixture
def comments(api: Api) -> Comments:
    """Its comments, for who may write."""
    return Comments(api.url, "right", "acme/platform", 7)


def test_made_once_then_edited(api: Api, comments: Comments) -> None:
    assert comments.keep(BODY) == "created"
    assert comments.keep(BODY) == "unchanged"
    assert comments.keep(BODY.replace("Nothing", "Something")) == "edited"
    (comment,) = api.comments
    assert "Something changes" in comment["body"]
    assert [c.split()[0] for c in api.calls] == ["GET", "POST", "GET", "GET", "PATCH"]


def test_found_on_a_later_page(api: Api, comments: Comments) -> None:
    for i in range(230):
        api.add("jane", f"looks good {i}")
    api.comments[220].update(user={"login": BOT}, body=BODY)
    assert comments.keep(BODY + "more") == "edited"
    assert len(api.comments) == 230
    assert [c.split()[0] for c in api.calls] == ["GET", "GET", "GET", "PATCH"]


def test_marker_of_somebody_else_is_ignored(api: Api, comments: Comments) -> None:
    """Nor is a comment of ours that only quotes the marker."""
    foreign = api.add("mallory", f"{MARKER}\nall is well")
    quoted = api.add(BOT, f"> {MARKER}\nsaid mallory")
    assert comments.keep(BODY) == "created"
    assert (foreign["body"], quoted["body"]) == (f"{MARKER}\r\nall is well", f"> {MARKER}\r\nsaid mallory")
    assert len(api.comments) == 3


def test_token_goes_nowhere_else(api: Api, comments: Comments) -> None:
    """Not even where a page of GitHub's own answer points."""
    with github() as other:
        api.elsewhere = f"{other.url}/repos/acme/platform/issues/7/comments"
        for _ in range(101):
            api.add("jane", "hello")
        with pytest.raises(Refused, match="outside"):
            comments.keep(BODY)
        api.redirect = api.elsewhere
        with pytest.raises(Refused, match="302"):
            comments.keep(BODY)
        assert other.calls == []


def test_longest_comment_is_taken(api: Api, comments: Comments) -> None:
    pages = [f"{MARKER}\n## Flameplane · {n}: passes\n\n{'x' * 30_000}\n" for n in ("prod", "staging", "dev", "local")]
    body = joined(pages)
    assert len(body) <= LIMIT
    assert comments.keep(body) == "created"
    assert body.count(MARKER) == 1
    assert "Flameplane · local: passes: too long" in body
    assert body.count("<details>") == body.count("</details>") == 1


def test_first_page_is_whole_and_others_are_folded() -> None:
    prod, dev = (f"{MARKER}\n## Flameplane · {name}: passes\n\nbody of {name}\n" for name in ("prod", "dev"))
    assert joined([prod, dev]) == (
        f"{MARKER}\n## Flameplane · prod: passes\n\nbody of prod\n"
        "\n<details><summary>Flameplane · dev: passes</summary>\n\nbody of dev\n\n</details>\n"
    )


def command(api: Api, tmp_path: Path, root: Path, token: str = "right") -> subprocess.CompletedProcess[str]:
    """The script as CI runs it: the system's Python without any package."""
    page, summary = tmp_path / "plan.md", tmp_path / "summary.md"
    page.write_text(BODY)
    env = {"GITHUB_TOKEN": token, "GITHUB_API_URL": api.url, "GITHUB_STEP_SUMMARY": str(summary)}
    arguments = ["--repository", "acme/platform", "--pull-request", "7", str(page), str(tmp_path / "missing.md")]
    return subprocess.run(
        [sys.executable, "-S", "-m", "flameplane.review.post", *arguments],
        cwd=root,
        env={**env, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command(api: Api, tmp_path: Path, root: Path) -> None:
    done = command(api, tmp_path, root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "comment created\n", "")
    assert api.comments[0]["body"].replace("\r\n", "\n") == BODY


def test_a_fork_gets_the_summary(api: Api, tmp_path: Path, root: Path) -> None:
    """A token that may only read: no failure, and nothing is lost."""
    api.refuse["POST"] = 403
    done = command(api, tmp_path, root)
    assert done.returncode == 0
    assert "it is in the summary of the job" in done.stdout
    assert (tmp_path / "summary.md").read_text() == BODY
    assert api.comments == []


@pytest.mark.parametrize("code", [422, 500])
def test_other_refusals_fail(api: Api, tmp_path: Path, root: Path, code: int) -> None:
    api.refuse["POST"] = code
    done = command(api, tmp_path, root)
    assert (done.returncode, done.stderr) == (3, f"GitHub answers {code} to POST of a comment\n")
    assert "right" not in done.stdout + done.stderr, "the token is never shown"
