"""Pyroscope's SDKs for Go, Java, Node.js and Python push through the gateway, and what they pushed is read back by it.

Proves that the real SDKs, at the locked versions, can show a token, that the gateway takes what they send, each by the
route that docs/sdks.md names, and that it arrives in the tenant of its team alone: before devstore, and before a real
Pyroscope where there is one. Tokens are known to a stand-in of the API server; that a cluster's are taken is proven
elsewhere. A service's own agents go through the node's receiver, not here: this is the protocol, not that way.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from gateway_door import Door, build, door
from readback import kinds, totals
from sdk_agents import AGENT, SECONDS, Unavailable, started
from servers import one_process, until

from flameplane.downsample.types import merge_of

TENANTS = ("payments", "catalog", "search")  # of the door's own gateway.yaml


@dataclass(frozen=True)
class Pushed:
    """What came of it: per language the exit code and what the program said, or why it did not run."""

    door: Door
    ended: Mapping[str, tuple[int, str] | Unavailable]

    def of(self, language: str) -> tuple[int, str]:
        """NOT RUN without the program."""
        ended = self.ended[language]
        if isinstance(ended, Unavailable):
            pytest.skip(f"NOT RUN: {ended}")
        return ended


@pytest.fixture(scope="module", params=["devstore", "pyroscope"])
def pushed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    """All programs at once, before one backend."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        backend = "devstore"
        if request.param == "pyroscope":
            binary: Path = request.getfixturevalue("pyroscope_binary")
            backend = stack.enter_context(one_process(binary, folder)).url
        gateway = stack.enter_context(door(build(folder), backend))
        running: dict[str, subprocess.Popen[str] | Unavailable] = {}
        for language, agent in AGENT.items():
            try:
                running[language] = stack.enter_context(started(agent, gateway, folder))
            except Unavailable as why:
                running[language] = why
        ended: dict[str, tuple[int, str] | Unavailable] = {}
        for language, one in running.items():
            if isinstance(one, Unavailable):
                ended[language] = one
            else:
                said = one.communicate(timeout=SECONDS + 90)[0]
                ended[language] = one.returncode, said
        yield Pushed(gateway, ended)


@pytest.mark.parametrize("language", AGENT)
def test_what_an_sdk_pushes_is_read_back(pushed: Pushed, language: str) -> None:
    code, said = pushed.of(language)
    assert code == 0, said
    agent, gateway = AGENT[language], pushed.door
    read = partial(totals, gateway, service=agent.service, kind=agent.kind)
    assert until(lambda: bool(read(agent.team)), 30), (said, agent.sent(gateway))
    found = read(agent.team)
    hot = sum(value for name, value in found.items() if agent.hot in name.split(":"))  # Node.js: file:function:line
    assert hot > found["total"] / 2, found
    for tenant in TENANTS:
        if tenant != agent.team:
            assert not read(tenant), f"{tenant} has it, too"


@pytest.mark.parametrize("language", AGENT)
def test_an_sdk_pushes_as_the_docs_say(pushed: Pushed, language: str, root: Path) -> None:
    pushed.of(language)
    agent = AGENT[language]
    sent = agent.sent(pushed.door)
    assert len(sent) > 1
    for one in sent:
        named = parse_qs(one["Query"]).get("format", [""])[0]
        assert " ".join(filter(None, (named, one["ContentType"], one["ContentEncoding"]))) == agent.sends
    package, version = agent.sdk.split()
    assert any(version in one["Query"] + one["Agent"] for one in sent), sent
    # The last one may have been cut off by the end of its program. 503 is that of a backend that was too slow for one.
    statuses = [one["Status"] for one in sent[:-1]]
    assert 200 in statuses and set(statuses) <= {200, 503}, sent
    page = (root / "docs" / "sdks.md").read_text().splitlines()
    (row,) = [line for line in page if f"| `{package}` {version} |" in line]
    assert f"| `{agent.path}` | `{agent.sends}` |" in row


@pytest.mark.parametrize("language", AGENT)
def test_every_type_of_an_sdk_is_one_that_is_merged(pushed: Pushed, language: str, root: Path) -> None:
    """With every profile switched on. A type that docs/retention.md does not list would be missing after a month."""
    pushed.of(language)
    agent, gateway = AGENT[language], pushed.door
    read = partial(kinds, gateway, agent.team, agent.service)
    assert until(lambda: agent.kinds <= read(), 30), agent.sent(gateway)
    assert read() <= agent.kinds | agent.sometimes
    page = (root / "docs" / "retention.md").read_text()
    for kind in agent.kinds | agent.sometimes:
        assert merge_of(kind)
        assert f"`{':'.join(kind.split(':')[:2])}`" in page


@pytest.mark.parametrize("language", AGENT)
def test_profilecli_reads_it(pushed: Pushed, language: str, profilecli: Path) -> None:
    pushed.of(language)
    agent, gateway = AGENT[language], pushed.door

    def query(tenant: str) -> str:
        command = [
            profilecli,
            "query",
            "profile",
            f"--url={gateway.url}/tenant/{tenant}",
            f"--profile-type={agent.kind}",
        ]
        command += [f'--query={{service_name="{agent.service}"}}']
        known = {**os.environ, "PROFILECLI_TOKEN": gateway.tokens["downsample"]}
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=60)
        # It takes an answer without any sample for a broken one.
        assert done.returncode == 0 or "empty input file" in done.stderr, done.stdout + done.stderr
        return done.stdout

    assert until(lambda: agent.hot in query(agent.team), 30), query(agent.team)
    assert agent.hot not in query("search")
