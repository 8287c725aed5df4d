"""The published schemas in a real yaml-language-server, as editors run it.

Proves what somebody sees who writes a file: the diagnostics with their lines and words, what is offered, what a hover
says. The server comes from npm by its lock file (tests/plan/editor/). NOT RUN where node or npm is missing, or where
npm cannot fetch; CI has them. Cannot prove how an editor draws it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from language_server import LanguageServer, Unavailable, installed

FILE = "services/payments/checkout/service.yaml"
GOOD = """\
# yaml-language-server: $schema=../../../schemas/service.v1.schema.json
apiVersion: flameplane.dev/v1
kind: Service
metadata:
  name: checkout
  team: payments
  repository: https://git.example.com/acme/checkout
spec:
  language:
    name: go
  workload:
    namespace: payments
    selector:
      app: checkout
  profiling:
    sampleRateHz: 19
    types: [cpu, alloc]
"""


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LanguageServer]:
    try:
        script = installed()
    except Unavailable as error:
        pytest.skip(f"yaml-language-server: {error}")
    with LanguageServer(script, root) as running:
        yield running


def told(server: LanguageServer, text: str, name: str = FILE) -> list[tuple[int, int, str]]:
    """Line, column and words of each diagnostic."""
    return [
        (d["range"]["start"]["line"] + 1, d["range"]["start"]["character"] + 1, d["message"])
        for d in server.open(name, text)
    ]


def test_every_declared_file_is_clean(server: LanguageServer, root: Path) -> None:
    files = [*root.glob("services/**/*.yaml"), *root.glob("stacks/*.yaml")]
    assert len(files) > 20
    for file in files:
        assert told(server, file.read_text(), file.relative_to(root).as_posix()) == [], file
    wrong = (root / "stacks/Pulumi.prod.yaml").read_text().replace("replicas: 2", "replicas: 99", 1)
    (finding,) = told(server, wrong, "stacks/Pulumi.prod.yaml")
    assert finding[2] == "Value is above the maximum of 20.", "the server did read the schema"


BROKEN = {
    "typo": ("sampleRateHz", "sampelRateHz", (16, 5, "Property sampelRateHz is not allowed.")),
    "unknown language": (
        "name: go",
        "name: rust",
        (10, 11, 'Value is not accepted. Valid values: "go", "java", "node", "python", "native".'),
    ),
    "out of range": ("19", "190", (16, 19, "Value is above the maximum of 99.")),
    "unknown type": (
        "alloc]",
        "heap]",
        (17, 18, 'Value is not accepted. Valid values: "cpu", "alloc", "mutex", "block", "goroutine", "offcpu".'),
    ),
    "type of another language": (
        "alloc]",
        "wall]",
        (17, 18, 'Value is not accepted. Valid values: "cpu", "alloc", "mutex", "block", "goroutine", "offcpu".'),
    ),
    "form of a name": (
        "name: checkout",
        "name: Check_out",
        (
            5,
            9,
            "Has to be lower-case letters, digits and hyphens, at most 40, starting and ending with a letter or digit.",
        ),
    ),
    "form of a URL": (
        "https://git.example.com/",
        "git@git.example.com:",
        (
            7,
            15,
            "Has to be an https URL of a repository, without user, query, .. and closing slash: "
            "https://git.example.com/acme/checkout.",
        ),
    ),
    "label key": (
        "app: checkout",
        '"app name": checkout',
        (14, 7, "Has to be a Kubernetes label key: [prefix/]name, as in app.kubernetes.io/name."),
    ),
    "number in quotes": ("19", '"19"', (16, 19, 'Incorrect type. Expected "integer".')),
    "missing": (
        "  workload:\n    namespace: payments\n    selector:\n      app: checkout\n",
        "",
        (8, 1, 'Missing property "workload".'),
    ),
    "key of another language": (
        "name: go",
        "name: java\n    pprofPort: 6060",
        (11, 5, "Property pprofPort is not allowed."),
    ),
    "retention": (
        "  profiling:",
        "  retention: {fineDays: 30}\n  profiling:",
        (15, 3, "Property retention is not allowed."),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_mistake_is_one_diagnostic_at_its_place(case: str, server: LanguageServer) -> None:
    old, new, expected = BROKEN[case]
    assert told(server, GOOD) == []
    assert told(server, GOOD.replace(old, new)) == [expected]


def test_a_grant(server: LanguageServer, root: Path) -> None:
    file = next((root / "tests/plan/golden_exports/exports").glob("*checkout.yaml"))
    text = file.read_text().replace("../../../../schemas", "../schemas")
    assert told(server, text, "exports/g1.yaml") == []
    wrong = text.replace("format: pprof", "format: raw")
    words = 'Value is not accepted. Valid values: "pprof", "tree", "dot".'
    assert told(server, wrong, "exports/g1.yaml") == [(12, 11, words)]


def offered(server: LanguageServer, text: str) -> dict[str, str]:
    """What is offered where the text has a ▮: label -> documentation."""
    before = text[: text.index("▮")]
    server.open(FILE, text.replace("▮", ""))
    items = server.complete(FILE, before.count("\n") + 1, len(before) - before.rfind("\n"))
    found = {label: item.get("documentation") or "" for label, item in items.items()}
    return {label: words["value"] if isinstance(words, dict) else words for label, words in found.items()}


def test_languages_are_offered_with_their_meaning(server: LanguageServer) -> None:
    found = offered(server, GOOD.replace("name: go", "name: ▮"))
    assert list(found) == ["go", "java", "node", "python", "native"]
    assert found["java"] == "Java: async-profiler, injected into the pod."
    assert all(found.values())


@pytest.mark.parametrize(
    ("language", "types"),
    [
        ("go", {"cpu", "alloc", "mutex", "block", "goroutine", "offcpu"}),
        ("python", {"cpu", "wall", "offcpu"}),
        ("native", {"cpu", "offcpu"}),
    ],
)
def test_only_types_of_the_language_are_offered(language: str, types: set[str], server: LanguageServer) -> None:
    text = GOOD.replace("name: go", f"name: {language}").replace("[cpu, alloc]", "\n      - ▮")
    found = offered(server, text)
    assert set(found) == types
    assert found["offcpu"].startswith("Time off the processor")


def test_keys_that_are_not_there_yet_are_offered(server: LanguageServer) -> None:
    found = offered(server, GOOD + "  ▮\n")
    assert set(found) == {"labels", "source", "requests", "gate", "budget"}
    assert found["budget"] == "Monthly ceilings; an alert goes out at 80 %."
    modes = offered(server, GOOD + "  gate:\n    mode: ▮\n")
    assert modes == {
        "enforce": "A regression fails the deploy.",
        "warn": "A regression is a comment.",
        '"off"': "Nothing is compared.",
    }, "off in quotes, since the bare word is false to many readers"


def test_an_empty_file_can_become_a_whole_one(server: LanguageServer) -> None:
    """The snippet, with its places to type at as they stand, is a file that the server itself accepts."""
    head = GOOD.splitlines()[0] + "\n"
    server.open(FILE, head + "\n")
    snippet = server.complete(FILE, 2, 1)["service"]["insertText"]
    assert "${1:checkout}" in snippet
    text = re.sub(r"\$\{\d+:((?:[^}\\]|\\.)*)\}", r"\1", snippet)
    text = re.sub(r"\$\{\d+\|(\w+)[^}]*\|\}", r"\1", text).replace("\\", "")
    assert told(server, head + text) == []


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (16, 8, "CPU samples per second and core: 99 is the default, 19 the cheap baseline tier, 0 is off."),
        (10, 6, "* `native`: C, C++, Rust and everything else: the eBPF agent alone."),
        (17, 7, "Profile types. `cpu` and `offcpu` come from the node agent for every language"),
        (7, 5, "blame and the CI gate are bound to it"),
    ],
)
def test_hover_explains(line: int, column: int, words: str, server: LanguageServer) -> None:
    server.open(FILE, GOOD)
    text = server.hover(FILE, line, column)
    assert words in text
    assert "ServiceSpec" not in text, "names of classes say nothing to people who write YAML"
