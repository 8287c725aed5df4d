"""Settings as a person changes them with the real `pulumi config set`, for every kind of mistake that it lets through.

Proves that the engine's own hand-over of values loses neither findings nor their places, and that nothing is
registered. Pulumi itself checks no range, no form and no rule between values.
"""

import re
from pathlib import Path

from workbench import Workbench


def test_all_mistakes_are_told_at_once_and_nothing_is_registered(root: Path, tmp_path: Path) -> None:
    bench = Workbench(root, tmp_path, "prod").start()
    for path, value in {
        "access.replicas": "1",
        "access.audiences": "flameplane",
        "cluster.apiServer": "10.40.0.9/24",
        "backend.architecture": "process",
        "backend.volumes.metastore": "50GB",
        "regression.trustedIssuers[0]": "http://git.example.com",
    }.items():
        done = bench.call("config", "set", f"--stack={bench.stack}", "--path", f"flameplane:{path}", value)
        assert done.code == 0, done.text
    done = bench.run("preview", pack=False)
    assert done.code != 0
    found = re.findall(r"stacks/Pulumi\.prod\.yaml:(\d+):\d+: .* \[(SET\d+)\]", done.text)
    told = list(dict.fromkeys(found))  # the engine shows what a program printed as it comes, and again at the end
    assert [rule for _, rule in told] == ["SET082", "SET079", "SET025", "SET075", "SET020", "SET025"], done.text
    lines = (bench.project / "stacks" / "Pulumi.prod.yaml").read_text().splitlines()
    at = [lines[int(line) - 1].strip() for line, _ in told]
    assert at[:5] == [
        "apiServer: 10.40.0.9/24",
        "architecture: process",
        "metastore: 50GB",
        "replicas: 1",
        "audiences: flameplane",
    ]
    assert "6 finding(s); nothing was registered" in done.text
    assert {urn.split("::")[-2] for urn in done.resources} == {"pulumi:pulumi:Stack"}, "made by the SDK itself"


def test_an_encrypted_value_is_refused(bench: Workbench) -> None:
    path = ("--path", "flameplane:regression.slackSecret", "hunter2")
    assert bench.call("config", "set", f"--stack={bench.stack}", "--secret", *path).code == 0
    done = bench.run("preview", pack=False)
    assert done.code != 0
    assert "[SET060]" in done.text
    assert "hunter2" not in done.text
