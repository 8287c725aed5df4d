"""The sample change that docs/review.md shows, in a git repository of its own: made from the project as it stands.

`python tests/plan/review_sample.py` writes the page anew; commit it together with what changed it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "review.md"
PARTS = ("components", "flameplane", "policies", "schemas", "services", "stacks")
FILES = ("CODEOWNERS", "Pulumi.yaml", "__main__.py", "images.lock")
BEGIN, END = "<!-- the comment begins here -->\n", "<!-- the comment ends here -->\n"
EXPIRES = "2027-01-31"  # stands in the page for the day on which the sample's waiver ends, which moves with today
COMMIT = "1f2e3d4c5b6a"  # stands for the commit, which differs from run to run

WAIVER = """\
waivers:
  - rule: FP014
    target: team/catalog
    reason: "The ceiling of the team rises with the budget of the next quarter, FIN-482."
    owner: "@acme/catalog"
    approver: "@jane"
    expires: "{expires}"
"""


class Sample:
    """A copy of the project with every image locked (digests are made up), committed, and then the change on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy(ROOT / file, folder)
        lock = json.loads((ROOT / "images.lock").read_text())
        for name, image in lock["images"].items():
            image["digest"] = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        (folder / "images.lock").write_text(json.dumps(lock))
        # The ceiling of a team is below what its services may spend: FP014 says so.
        self.replace("services/catalog/_team.yaml", "monthlyUsd: 250", "monthlyUsd: 100")
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "The platform")

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a text that stands once in a file."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new))

    def change(self) -> None:
        """One service from 19 to 99 Hz, one team's retention up, one waiver added."""
        self.replace("services/storefront/promotions/service.yaml", "sampleRateHz: 19", "sampleRateHz: 99")
        self.replace("services/catalog/_team.yaml", "downsampledDays: 60", "downsampledDays: 90")
        self.replace("policies/waivers.yaml", "waivers: []\n", WAIVER.format(expires=expires()))

    def git(self, *arguments: str) -> str:
        """Run git here, without the user's own settings."""
        who = {f"GIT_{a}_{b}": "sample@example.com" for a in ("AUTHOR", "COMMITTER") for b in ("NAME", "EMAIL")}
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", **who}
        done = subprocess.run(["git", *arguments], cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    def plan(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`flameplane plan -s prod` here, in a process of its own."""
        program = "import sys; sys.argv[0] = 'flameplane'; from flameplane.cli import main; main()"
        env = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "FLAMEPLANE_", "PULUMI_"))}
        command = [sys.executable, "-c", program, "plan", "-s", "prod", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )

    def comment(self) -> str:
        """The comment on the change, with what differs from run to run replaced by what the page shows for it."""
        done = self.plan("--base", "main", "--format", "markdown", "--source-url", "..")
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout.replace(expires(), EXPIRES).replace(self.git("rev-parse", "main")[:12], COMMIT)


def expires() -> str:
    """A day on which a waiver that is granted today may end."""
    return (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


def page(comment: str) -> str:
    """docs/review.md with ``comment`` in its place; the marker, which nobody sees, is left out."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{comment.partition(chr(10))[2]}{END}{after}"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        sample = Sample(Path(scratch) / "sample")
        sample.change()
        PAGE.write_text(page(sample.comment()))
