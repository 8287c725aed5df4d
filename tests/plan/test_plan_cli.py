"""`flameplane plan` and `flameplane render` as commands, on the project itself: output, exit codes, no traceback.

The number and kind of objects is not asserted here: the golden files and the rules' own tests do that.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from flameplane import plan as package
from flameplane.cli import plan, render
from flameplane.plan import PackFailed, ProgramFailed


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """The two commands alone."""
    app = typer.Typer(rich_markup_mode=None)
    for module in (plan, render):
        module.register(app)
    return app


@pytest.fixture
def run(app: typer.Typer, root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command inside the project."""
    monkeypatch.chdir(root)
    return lambda *args: CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def test_plan_text(run: Any) -> None:
    """Layers, services, findings, a verdict as the last line; never the word preview."""
    result: Result = run("plan", "-s", "local")
    assert result.exit_code == 0, result.output
    for part in (
        "Objects by layer\n  foundation ",
        "\nServices\n  12 declared, ",
        "\nImages still open\n",
        "CronJob/",
    ):
        assert part in result.stdout
    assert result.stdout.splitlines()[-1].endswith(": passes")
    assert "preview" not in result.output.lower()


def test_plan_json(run: Any, tmp_path: Path) -> None:
    """The documented form; two runs are byte-identical; an environment with open images does not pass."""
    file = tmp_path / "plan.json"
    first, second = run("plan", "-s", "prod", "--format", "json"), run("plan", "-s", "prod", "-f", "json", "-o", file)
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert first.stdout == file.read_text()
    assert second.stdout.strip().endswith(f"does not pass; see {file}")
    document = json.loads(first.stdout)
    assert list(document) == [
        "version", "stack", "passes", "errors", "warnings", "objects", "services", "openImages", "findings",
        "cost", "changes",
    ]  # fmt: skip
    assert (document["version"], document["stack"], document["passes"]) == (1, "prod", False)
    layers = document["objects"]["layers"]
    assert document["objects"]["total"] == sum(sum(kinds.values()) for kinds in layers.values()) > 0
    assert document["services"]["declared"] == 12
    assert document["errors"] == sum(f["severity"] == "error" for f in document["findings"]) > 0
    assert all(f["location"]["file"].startswith("components/") for f in document["findings"])


@pytest.fixture
def broken(root: Path, tmp_path: Path) -> Path:
    """A services tree with one mistake."""
    services = tmp_path / "services"
    shutil.copytree(root / "services", services)
    file = services / "payments" / "checkout" / "service.yaml"
    file.write_text(file.read_text().replace("sampleRateHz: 99", "sampleRateHz: 199"))
    return services


def test_broken_declarations(run: Any, broken: Path, tmp_path: Path) -> None:
    """Findings of the declared files come before the program is run, in both forms and for render too."""
    text, document = (run("plan", "-s", "local", "--services", broken, "-f", f) for f in ("text", "json"))
    assert (text.exit_code, document.exit_code) == (1, 1)
    assert "checkout/service.yaml:" in text.stderr
    assert text.stderr.endswith("1 finding: the program was not run\n")
    parsed = json.loads(document.stdout)
    assert (parsed["passes"], parsed["errors"], parsed["objects"]) == (False, 1, None)
    rendered = run("render", "-s", "local", "-o", tmp_path / "out", "--services", broken)
    assert rendered.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_warnings_stop_nothing(run: Any, root: Path, tmp_path: Path) -> None:
    """An organisation without services is warned of: the program runs, the exit code says what JSON says."""
    services = tmp_path / "services"
    shutil.copytree(root / "services" / "platform", services / "platform")
    shutil.copy(root / "services" / "_org.yaml", services)
    result = run("plan", "-s", "local", "--services", services, "-f", "json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["passes"], document["errors"]) == (0, True, 0)
    assert document["objects"]["total"] > 0
    assert [f["severity"] for f in document["findings"] if f["id"] == "SVC052"] == ["warning"]
    out = tmp_path / "out"
    rendered = run("render", "-s", "prod", "-o", out, "--services", services)
    assert rendered.exit_code == 0, rendered.output
    assert "warning: " in rendered.stderr
    assert "[SVC052]" in rendered.stderr
    assert (out / "_cluster" / "namespace-flameplane-system.yaml").is_file()


def test_documented_output(run: Any, root: Path) -> None:
    """Every line of the example in docs/plan.md is one that is printed today."""
    example = (root / "docs" / "plan.md").read_text().split("```")[1].strip().splitlines()
    printed = ["$ flameplane plan -s local", *run("plan", "-s", "local").stdout.splitlines(), "  ..."]
    assert len(example) > 5
    assert [line for line in example if line not in printed] == [], f"printed today: {printed}"


def test_other_services(run: Any, root: Path, tmp_path: Path) -> None:
    """--services reaches the program: one service less is one less declared."""
    services = tmp_path / "services"
    shutil.copytree(root / "services", services)
    shutil.rmtree(services / "payments" / "checkout")
    result = run("plan", "-s", "local", "--services", services, "-f", "json")
    assert json.loads(result.stdout)["services"]["declared"] == 11


def test_render(run: Any, tmp_path: Path) -> None:
    """Files, a word about them, and the same again."""
    out = tmp_path / "out"
    for _ in range(2):
        result = run("render", "-s", "local", "-o", out)
        files = list(out.rglob("*.yaml"))
        assert (result.exit_code, result.stdout) == (0, f"{len(files)} objects in {out}\n")
    assert (out / "_cluster" / "namespace-flameplane-system.yaml").is_file()


USAGE = {
    "no stack": (("plan",), "Missing option '--stack'"),
    "unknown stack": (("plan", "-s", "lokal"), "there is no stack lokal; did you mean local?"),
    "format": (("plan", "-s", "local", "-f", "yaml"), "unknown format yaml; one of text, json"),
    "services": (("plan", "-s", "local", "--services", "nowhere"), "there is no folder nowhere"),
    "no output": (("render", "-s", "local"), "Missing option '--output'"),
    "not ours": (("render", "-s", "local", "-o", "services"), "is not empty and was not written by render"),
    "no folder": (("plan", "-s", "local", "-o", "nowhere/plan.txt"), "cannot write nowhere/plan.txt"),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, run: Any) -> None:
    """Wrong options: exit code 2 and what would be right."""
    args, expected = USAGE[case]
    result = run(*args)
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.split())


def test_outside_a_project(app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Pulumi.yaml around: usage."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["plan", "-s", "local"])
    assert result.exit_code == 2
    assert "no Pulumi.yaml in" in result.stderr


def test_failures(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program or a pack that fails: exit code 3, its own words first, nothing on stdout."""

    def program(*_: Any) -> None:
        raise ProgramFailed("the program failed: reason", "what it wrote\n")

    def pack(*_: Any) -> None:
        raise PackFailed("the policy pack ended")

    with monkeypatch.context() as patched:
        patched.setattr(package, "judge", pack)
        result = run("plan", "-s", "local")
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.endswith("flameplane: the policy pack ended\n")
    monkeypatch.setattr(package, "record", program)
    for command in (("plan", "-s", "local"), ("render", "-s", "local", "-o", "nowhere")):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "what it wrote\nflameplane: the program failed: reason\n"


def test_a_failure_stands_in_every_output(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CI shows files, not the terminal of the run."""

    def program(*_: Any) -> None:
        raise ProgramFailed("the program failed: account 111122223333")

    monkeypatch.setattr(package, "record", program)
    formats = ("text", "json", "markdown", "sarif", "github", "junit")
    result = run("plan", "-s", "local", *(a for f in formats for a in ("-f", f, "-o", str(tmp_path / f))))
    assert result.exit_code == 3
    for name in formats:
        written = (tmp_path / name).read_text()
        assert "PLN030" in written and "nothing was judged" in written, name
        assert ("111122223333" in written) == (name == "text"), name  # values are for whoever runs it, and no others
