"""`flameplane new` and shell completion, as people use them: by flags, on a terminal (a real pty), with Tab in bash.

Proves what is asked, what is written and what is refused. Cannot prove zsh and fish, which are not run here.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal
from typer.testing import CliRunner

from flameplane.catalog import load
from flameplane.cli import app

BASE = Path(__file__).parent / "broken" / "base"
PROJECT = BASE.parents[3]
FILE = "services/payments/wallet/service.yaml"
FLAGS = {
    "--team": "payments",
    "--name": "wallet",
    "--language": "go",
    "--namespace": "payments",
    "--selector": "app=wallet",
    "--repository": "https://git.example.com/acme/wallet",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(BASE, root)
    (root / "Pulumi.yaml").write_text("name: flameplane\n")
    shutil.copytree(BASE.parents[1] / "broken_settings/base/stacks", root / "stacks")
    monkeypatch.chdir(root)
    return root


def run(*more: str, without: str = "", **changed: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `new` with every flag that it needs, but for ``without``."""
    flags = FLAGS | {f"--{key}": value for key, value in changed.items()}
    arguments = [part for flag, value in flags.items() if flag != without for part in (flag, value)]
    result = CliRunner().invoke(app, ["new", *arguments, *more])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_flags_write_a_file_that_validates(project: Path) -> None:
    code, out, err = run("--slack", "#wallet", "--rate", "19", "--type", "cpu", "--type", "alloc")
    assert (code, out) == (0, "")
    assert err == f"{FILE} written; what it gets: flameplane explain wallet"
    text = (project / FILE).read_text()
    assert text.startswith("# yaml-language-server: $schema=../../../schemas/service.v1.schema.json\n")
    loaded = load(project)
    assert loaded.findings == []
    assert loaded.catalog
    wallet = next(s for s in loaded.catalog.services if s.name == "wallet")
    assert wallet.metadata.slack == "#wallet"
    assert wallet.spec.profiling.sample_rate_hz == 19
    assert wallet.spec.profiling.types == ["cpu", "alloc"]
    assert wallet.spec.workload.selector == {"app": "wallet"}


def test_the_schema_of_the_first_line_is_there(root: Path) -> None:
    text = CliRunner().invoke(app, ["new", *(p for flag in FLAGS.items() for p in flag), "--dry-run"]).stdout
    assert text, "the project itself takes a new service"
    schema = text.splitlines()[0].partition("$schema=")[2]
    assert (root / FILE).parent.joinpath(schema).resolve().is_file()


@pytest.mark.parametrize("language", ["go", "java", "node", "python", "native"])
def test_each_comment_can_be_taken_over(language: str, project: Path) -> None:
    """What is offered in comments is what the service inherits, and valid as it stands."""
    assert run(language=language)[0] == 0
    before = load(project).catalog
    text = (project / FILE).read_text()
    taken, count = re.subn(r"^  # (\w+: \{.*\})$", r"  \1", text, flags=re.MULTILINE)
    assert count == 3
    (project / FILE).write_text(taken)
    loaded = load(project)
    assert loaded.findings == []
    assert loaded.catalog == before


def test_dry_run_prints_and_writes_nothing(project: Path) -> None:
    code, out, err = run("--dry-run")
    assert code == 0
    assert "name: wallet" in out
    assert err == f"{FILE} was not written: --dry-run"
    assert not (project / FILE).parent.exists()


def test_nothing_is_overwritten(project: Path) -> None:
    before = (project / "services/payments/checkout/service.yaml").read_text()
    code, _, err = run(name="checkout")
    assert code == 2
    assert "services/payments/checkout/service.yaml exists already; it is not replaced" in err
    assert (project / "services/payments/checkout/service.yaml").read_text() == before


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("team", "paymets", "there is no team paymets; did you mean payments? teams are catalog, payments"),
        ("team", "sales", "there is no team sales; teams are catalog, payments"),
        ("language", "golang", "there is no language golang; did you mean go? languages are go, java, node"),
        ("selector", "wallet", "labels are written LABEL=VALUE, as in app.kubernetes.io/name=checkout"),
        ("name", "../../../etc", "../../../etc is no name: lower-case letters, digits and hyphens"),
        ("name", "Wallet", "Wallet is no name"),
    ],
)
def test_a_wrong_flag_is_told_with_what_is_valid(flag: str, value: str, words: str, project: Path) -> None:
    code, _, err = run(**{flag: value})
    assert code == 2
    assert f"Invalid value for --{flag}: {words}" in err
    assert not (project / FILE).parent.exists()


def test_the_validator_decides_and_nothing_is_half_written(project: Path) -> None:
    """All findings in one run: the host, the excluded namespace, the type and the rate."""
    more = ("--rate", "99", "--type", "wall")
    code, _, err = run(*more, namespace="vault", repository="https://github.com/acme/wallet")
    assert code == 1
    assert re.findall(r"\[(SVC\d+)\]", err) == ["SVC044", "SVC048", "SVC050", "SVC030"]
    assert err.endswith("nothing was written")
    assert not (project / FILE).parent.exists()
    code, _, err = run(name="search")
    assert code == 1
    assert "the service name search is taken by services/catalog/search/service.yaml" in err


def test_in_a_broken_project_nothing_is_added(project: Path) -> None:
    file = project / "services/_org.yaml"
    file.write_text(file.read_text().replace("kind: Organisation", "kind: Org"))
    code, _, err = run()
    assert code == 1
    assert "SVC023" in err
    assert err.endswith("nothing was written: correct what is declared first")


def test_without_a_terminal_all_missing_flags_are_named(project: Path) -> None:
    code, _, err = run(without="--selector")
    assert code == 2
    assert "missing: --selector; without a terminal nothing is asked" in err
    result = CliRunner().invoke(app, ["new"])
    assert result.exit_code == 2
    flags = "--team, --name, --language, --namespace, --repository, --selector"
    assert f"missing: {flags}" in " ".join(result.stderr.split())


def test_a_terminal_is_asked_and_asked_again(project: Path) -> None:
    terminal = Terminal("new", "--rate", "19")
    terminal.expect("Team: ", "paymets\n")
    terminal.expect("Error: there is no team paymets; did you mean payments? teams are catalog, payments")
    terminal.expect("Team: ", "payments\n")
    terminal.expect("Name of the service: ", "Wallet\n")
    terminal.expect("Error: Wallet is no name")
    terminal.expect("Name of the service: ", "wallet\n")
    terminal.expect("Language (go, java, node, python, native): ", "rust\n")
    terminal.expect("did you mean native?")
    terminal.expect("Language (go, java, node, python, native): ", "python\n")
    terminal.expect("Namespace of its pods [payments]: ", "\n")
    terminal.expect("Labels of its pods [app.kubernetes.io/name=wallet]: ", "app=wallet, tier=web\n")
    terminal.expect("Git repository [https://git.example.com/acme/wallet]: ", "\n")
    terminal.expect(f"{FILE} written")
    assert terminal.exit_code() == 0
    catalog = load(project).catalog
    assert catalog
    wallet = next(s for s in catalog.services if s.name == "wallet")
    assert wallet.spec.language.name == "python"
    assert wallet.spec.workload.selector == {"app": "wallet", "tier": "web"}
    assert wallet.metadata.repository == "https://git.example.com/acme/wallet"


def test_who_leaves_writes_nothing(project: Path) -> None:
    terminal = Terminal("new", "--team", "payments")
    terminal.expect("Name of the service: ")
    terminal.leave()
    assert terminal.exit_code() == 1
    assert list((project / "services/payments").iterdir()) and not (project / FILE).parent.exists()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("flameplane exp", {"explain", "export"}),
        ("flameplane explain ", {"checkout", "search"}),
        ("flameplane export request --service ch", {"checkout"}),
        ("flameplane explain ch", {"checkout"}),
        ("flameplane new --team p", {"payments"}),
        ("flameplane new --language n", {"node", "native"}),
        ("flameplane new --na", {"--name", "--namespace"}),
    ],
)
def test_tab_completes_in_bash(line: str, offered: set[str], project: Path, tmp_path: Path) -> None:
    """A real bash, with the script that `flameplane --show-completion` prints."""
    command = tmp_path / "bin" / "flameplane"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom flameplane.cli import main\nmain()\n")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    script = spoken([str(command)], environment | {"_FLAMEPLANE_COMPLETE": "source_bash"})
    assert "complete -o default -F" in script
    function = script.rpartition("-F ")[2].split()[0]
    words = line.split(" ")
    position = f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}"
    typed = f'{script}\n{position}; {function} flameplane\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    assert set(spoken(["bash", "-c", typed], environment).split()) == offered


def spoken(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
