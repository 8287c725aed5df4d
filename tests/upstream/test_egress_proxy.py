"""The egress proxy: Debian's Squid with the rendered squid.conf and the rendered arguments.

Proves that the file is one Squid takes without a warning, that listed hosts are reached, and that nothing else is:
other names, subdomains, other ports, plain HTTP, addresses, and listed names whose owner's DNS points into the network.
All in a network namespace, since the rules are about real addresses and port 443. It cannot prove that NetworkPolicies
hold everybody else back, nor what another version of Squid does.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from debian_programs import Program, unpacked

from components.egress_config import PORT, egress_config
from flameplane import plan
from schemas.settings import Regression

PUBLIC, INSIDE, PRIVATE, METADATA = "203.0.113.10", "10.9.0.5", "10.1.2.3", "169.254.169.254"
HOSTS = {
    "chat.example.com": PUBLIC,
    "git.example.com": INSIDE,  # private, in the range that the settings name
    "rebound.example.com": PRIVATE,  # listed, but its DNS points to some other private address
    "node.example.com": METADATA,
    "elsewhere.example.com": PUBLIC,  # not listed
    "sub.chat.example.com": PUBLIC,
}
LISTED = ["chat.example.com", "git.example.com", "rebound.example.com", "node.example.com"]
REQUESTS = {
    "a listed host": ("CONNECT chat.example.com:443", 200),
    "written in capitals": ("CONNECT CHAT.example.com:443", 200),
    "a listed private host": ("CONNECT git.example.com:443", 200),
    "a host that is not listed": ("CONNECT elsewhere.example.com:443", 403),
    "a subdomain of a listed host": ("CONNECT sub.chat.example.com:443", 403),
    "another port": ("CONNECT chat.example.com:8443", 403),
    "port 80": ("CONNECT chat.example.com:80", 403),
    "plain HTTP": ("GET http://chat.example.com/", 403),
    "plain HTTP on port 443": ("GET http://chat.example.com:443/", 403),
    "the address of a listed host": (f"CONNECT {PUBLIC}:443", 403),
    "a listed name that leads inside": ("CONNECT rebound.example.com:443", 403),
    "a listed name that leads to the node's credentials": ("CONNECT node.example.com:443", 403),
    "the node's credentials": (f"CONNECT {METADATA}:443", 403),
    "the proxy's own pages": ("GET http://egress-proxy:3128/squid-internal-mgr/info", 403),
    "itself": (f"CONNECT localhost:{PORT}", 403),
}


@pytest.fixture(scope="module")
def squid() -> Program:
    return unpacked("squid", "/usr/sbin/squid")


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """Command that starts another in a network of its own."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    missing = [tool for tool in ("unshare", "ip") if not shutil.which(tool)]
    if missing or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"NOT RUN: no network namespace can be made here ({', '.join(missing) or 'not permitted'})")
    return command


@pytest.fixture
def folder() -> Iterator[Path]:
    """Readable for the user that Squid becomes, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="squid-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def placed(squid: Program, folder: Path, text: str) -> Path:
    """The rendered file byte for byte, included by one that says where the unpacked package lies."""
    share = squid.root / "usr/share/squid"
    (folder / "squid.conf").write_text(text)
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in HOSTS.items()))
    outer = folder / "outer.conf"
    outer.write_text(
        f"include {folder}/squid.conf\n"
        f"mime_table {share}/mime.conf\nicon_directory {share}/icons\nerror_directory {share}/errors/templates\n"
        f"unlinkd_program {squid.root}/usr/lib/squid/unlinkd\n"
        # Squid gives up root if the tests have it; in the cluster it never does.
        f"hosts_file {folder}/hosts\ncache_effective_user nobody\n"
    )
    return outer


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_squid_takes_the_rendered_file(stack: str, squid: Program, root: Path, folder: Path) -> None:
    said = parse(squid, placed(squid, folder, rendered(root, stack)["data"]["squid.conf"]))
    assert said.returncode == 0, said.stderr
    assert [line for line in said.stderr.splitlines() if any(w in line for w in ("WARNING", "ERROR", "FATAL"))] == []


def test_a_misspelt_directive_is_noticed(squid: Program, folder: Path) -> None:
    """So that taking the file says something."""
    said = parse(squid, placed(squid, folder, config().replace("http_access deny all", "http_acess deny all")))
    assert "http_acess" in said.stderr
    assert said.returncode or "ERROR" in said.stderr or "unrecognized" in said.stderr


def test_listed_hosts_are_reached_and_nothing_else(
    squid: Program, namespace: list[str], root: Path, folder: Path
) -> None:
    outer = placed(squid, folder, config())
    container = rendered(root, "prod", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    arguments = [str(outer) if a.endswith("/squid.conf") else a for a in container["args"]]
    assert [container["command"][0], *arguments].count(str(outer)) == 1
    described = {
        "addresses": [PUBLIC, INSIDE, PRIVATE, METADATA],
        "command": [str(squid.path), *arguments],
        "environment": {"LD_LIBRARY_PATH": squid.environment["LD_LIBRARY_PATH"]},
        "port": PORT,
        "requests": {name: line for name, (line, _) in REQUESTS.items()},
    }
    (folder / "plan.json").write_text(json.dumps(described))
    script = Path(__file__).with_name("tunnels.py")
    command = [*namespace, sys.executable, str(script), str(folder / "plan.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert {name: answer[0] for name, answer in answers.items()} == {n: status for n, (_, status) in REQUESTS.items()}
    assert answers["a listed host"][1] == f"{PUBLIC} hears hello"
    assert answers["a listed private host"][1] == f"{INSIDE} hears hello"


def config() -> str:
    """Rendered for hosts of this test; everything but the two lists is the same text as any environment's."""
    settings = {"trusted_issuers": ["https://git.example.com"], "slack_secret": "s"}
    return egress_config(Regression(**settings, egress_hosts=LISTED, egress="10.9.0.0/16"))


def rendered(root: Path, stack: str, kind: str = "ConfigMap") -> dict[str, Any]:
    (found,) = [
        m
        for r in plan.record(root, stack).resources
        if (m := plan.manifest(r)) and m["kind"] == kind and m["metadata"]["name"] == "egress-proxy"
    ]
    return found


def parse(squid: Program, file: Path) -> subprocess.CompletedProcess[str]:
    command = [str(squid.path), "-k", "parse", "-f", str(file)]
    return subprocess.run(command, capture_output=True, text=True, env=squid.environment, check=False)
