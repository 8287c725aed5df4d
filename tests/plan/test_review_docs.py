"""docs/review.md shows the comment of a real change in a real git repository, exactly as it is rendered.

The change is made in a copy of the project; what differs from run to run (a commit, a day) is fixed in the page.
"""

import subprocess
from pathlib import Path

import pytest
from review_sample import COMMIT, EXPIRES, PAGE, Sample, page

from flameplane.review.post import MARKER


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The repository with the change in its working tree."""
    made = Sample(tmp_path_factory.mktemp("sample") / "platform")
    made.change()
    return made


def state(sample: Sample) -> tuple[str, ...]:
    """What git knows, the bytes of the index included."""
    index = (sample.folder / ".git" / "index").read_bytes()
    return (*(sample.git(*c) for c in (("stash", "list"), ("branch", "-a"), ("worktree", "list"))), index.hex())


def test_the_page_shows_the_comment(sample: Sample) -> None:
    """It is short enough to be read in a minute, and git's state is what it was."""
    before = state(sample)
    comment = sample.comment()
    assert state(sample) == before
    assert PAGE.read_text() == page(comment), "run python tests/plan/review_sample.py"
    assert comment.startswith(f"{MARKER}\n## Flameplane · prod: ✅ passes\n")
    for part in (
        "promotions: sampleRateHz 19 → 99 · [services/storefront/promotions/service.yaml:",
        "catalog: retention.downsampledDays 60 → 90 — **retention**",
        f"FP014 | team/catalog | {EXPIRES} |",
        f"against `main` ({COMMIT})",
        "1 finding waived",
    ):
        assert part in comment
    unfolded = comment[: comment.index("<details><summary>The whole plan")]
    assert len(unfolded.splitlines()) <= 45, "a reviewer reads it in a minute"


def test_base_that_is_not_there(sample: Sample, tmp_path: Path) -> None:
    """One message with the fix, exit code 2; in a shallow clone it says so."""
    unknown = sample.plan("--base", "origin/nowhere")
    assert unknown.returncode == 2
    assert "there is no commit origin/nowhere" in " ".join(unknown.stderr.split())
    assert "git fetch origin nowhere" in " ".join(unknown.stderr.split())
    option = sample.plan("--base", "--upload-pack=touch pwned")
    assert option.returncode == 2
    shallow = tmp_path / "shallow"
    sample.git("commit", "-qam", "The change")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{sample.folder}", shallow], check=True)
    inside = Sample.__new__(Sample)
    inside.folder = shallow
    found = inside.plan("--base", "HEAD^1")
    assert found.returncode == 2
    assert "this clone is shallow" in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


def test_deleted_settings_do_not_pass(tmp_path: Path) -> None:
    """An environment of the base alone gets a comment that says so; one of neither side is a wrong option."""
    made = Sample(tmp_path / "platform")
    (made.folder / "stacks" / "Pulumi.prod.yaml").unlink()
    found = made.plan("--base", "main", "--format", "markdown")
    assert found.returncode == 1, found.stderr
    assert "❌ does not pass, 1 error" in found.stdout
    assert "the settings of prod are deleted, which main has" in found.stdout
    assert made.plan().returncode == 2
