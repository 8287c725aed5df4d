"""The local cluster's parts that need neither root nor a cluster: what it refuses and says, and what it would start.

Cannot prove that anything starts (tests/cluster does), nor that cgroup v2 and kind work: those are checked against
recorded files and stand-ins for the programs.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flameplane.local import target
from flameplane.local.choice import Choice
from local import LocalError
from local.cluster import cgroups, components, kind, layout, network, parts, pki, preflight, record, sampling
from local.cluster.processes import ENVIRONMENT, Process, spawn, tail

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
99 27 0:99 / /mnt/elsewhere rw,relatime - cgroup2 cgroup2 rw
"""


linux = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: needs /proc")


# -- network -------------------------------------------------------------------------------------------------------


def route(device: str, network_: str) -> str:
    """A line of /proc/net/route."""
    address, prefix = network_.split("/")
    mask = (0xFFFFFFFF << (32 - int(prefix))) & 0xFFFFFFFF
    words = [bytes(map(int, address.split(".")))[::-1].hex().upper(), mask.to_bytes(4, "little").hex().upper()]
    return f"{device}\t{words[0]}\t00000000\t0001\t0\t0\t0\t{words[1]}\t0\t0\t0\n"


@pytest.fixture
def host(tmp_path: Path) -> tuple[Path, Path]:
    """A host with no interface of ours and a table of routes to fill."""
    (tmp_path / "net").mkdir()
    (tmp_path / "route").write_text(HEADER + route("eth0", "0.0.0.0/0") + route("eth0", "192.168.1.0/24"))
    return tmp_path / "net", tmp_path / "route"


def add_route(routes: Path, device: str, network_: str) -> None:
    routes.write_text(routes.read_text() + route(device, network_))


def test_a_host_without_overlap_is_accepted(host: tuple[Path, Path]) -> None:
    assert network.check_free("us", *host) == []


@pytest.mark.parametrize("taken", ["10.213.0.0/24", "10.214.7.0/24", "10.215.0.10/32"])
def test_a_route_inside_our_networks_is_refused_with_its_device(host: tuple[Path, Path], taken: str) -> None:
    add_route(host[1], "tun0", taken)
    with pytest.raises(LocalError, match=f"{taken} through tun0.*remove that route"):
        network.check_free("us", *host)


def test_a_wider_route_is_only_noted(host: tuple[Path, Path]) -> None:
    add_route(host[1], "tun0", "10.0.0.0/8")
    notes = network.check_free("us", *host)
    assert len(notes) == 3
    assert all("10.0.0.0/8 through tun0" in note for note in notes)


def test_the_interface_tells_whose_it_is(host: tuple[Path, Path]) -> None:
    folder = host[0] / layout.LINK
    folder.mkdir()
    (folder / "ifalias").write_text("Flameplane cluster in /elsewhere\n")
    add_route(host[1], layout.LINK, "10.214.0.0/16")
    assert network.check_free("Flameplane cluster in /elsewhere", *host) == []
    with pytest.raises(LocalError, match="It says: Flameplane cluster in /elsewhere"):
        network.check_free("us", *host)


# -- control groups ------------------------------------------------------------------------------------------------


def test_a_hybrid_machine_has_its_controllers_in_v1_trees() -> None:
    found = cgroups.hierarchies(HYBRID)
    assert [tree.mount.name for tree in found] == ["cpu,cpuacct", "cpuset", "memory", "pids", "systemd", "unified"]
    assert [tree.v2 for tree in found] == [False] * 5 + [True]
    assert {controller for tree in found for controller in tree.controllers} >= cgroups.NEEDED


def test_v2_groups_get_the_controllers_delegated_at_both_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-in files take one write each, so one controller is enough to see where it is enabled."""
    tree = cgroups.Hierarchy(tmp_path, True, frozenset({"memory"}))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tree])
    for folder in (tmp_path, tmp_path / "ours"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").touch()
    assert cgroups.create("ours") == [tmp_path / "ours/node"]
    assert (tmp_path / "ours/pods").is_dir()
    for folder in (tmp_path, tmp_path / "ours"):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory"


def test_v1_cpusets_are_filled_from_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = cgroups.Hierarchy(tmp_path, False, frozenset({"cpuset"}))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tree])
    (tmp_path / "cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    cgroups.create("ours")
    assert (tmp_path / "ours/pods/cpuset.cpus").read_text() == "0-3\n"
    assert (tmp_path / "ours/node/cpuset.mems").read_text() == "0\n"


def test_two_caches_have_two_control_groups() -> None:
    assert layout.Layout(Path("/a")).cgroup != layout.Layout(Path("/b")).cgroup


# -- preflight -----------------------------------------------------------------------------------------------------


def test_another_system_is_told_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.platform, "system", lambda: "Darwin")
    with pytest.raises(preflight.CannotRun, match=r"Linux only, and this is Darwin.*kind.*--kubeconfig"):
        preflight.check_host()


def test_one_message_lists_everything_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "find_tool", lambda name: None if name in ("apt-get", "dpkg-deb") else name)
    with pytest.raises(preflight.CannotRun) as caught:
        preflight.check_host()
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  - root:")
    assert lines[2].startswith("  - on PATH: apt-get, dpkg-deb ")
    assert "kind" in lines[3]
    assert "--kubeconfig" in lines[3]


def test_memory_disk_kernel_and_cgroups_are_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.cgroups, "hierarchies", list)
    monkeypatch.setattr(preflight, "_try_mounts", lambda folder: "unknown filesystem type 'overlay'")
    monkeypatch.setattr(preflight, "_available_memory", lambda: 1024**3)
    monkeypatch.setattr(preflight, "DISK_TO_RUN", 1 << 60)
    with pytest.raises(preflight.CannotRun) as caught:
        preflight.check_room(tmp_path, built=True)
    said = str(caught.value)
    assert "cpu, cpuset, memory, pids" in said
    assert "overlay" in said
    assert "2 GiB available, and there are 1.0" in said
    assert f"free in {tmp_path}" in said


REFUSED = ("sh", "-c", "echo Permission denied >&2; exit 1")


def levelled(root: Path, text: str) -> Path:
    """A machine with a level of perf_event_paranoid."""
    file = root / sampling.LEVEL
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return root


@pytest.mark.parametrize("level", [3, 4])
def test_a_kernel_that_gives_the_agent_nothing_is_told_with_the_fix(level: int, tmp_path: Path) -> None:
    first, why, *fix = sampling.problem(levelled(tmp_path, f"{level}\n"), REFUSED).splitlines()
    assert first.endswith("gives it no perf event: Permission denied.")
    assert f"kernel.perf_event_paranoid is {level}: above 2" in why
    assert fix[0] == "  sysctl -w kernel.perf_event_paranoid=2"
    assert fix[1].startswith("  echo kernel.perf_event_paranoid=2 > /etc/sysctl.d/99-perf-events.conf")


@pytest.mark.parametrize("level", ["2\n", "-1\n", "", "none\n"])
def test_the_setting_is_not_blamed_for_what_it_does_not_do(level: str, tmp_path: Path) -> None:
    said = sampling.problem(levelled(tmp_path, level), REFUSED)
    assert "and not it; a seccomp profile or a user namespace may be" in said
    assert "sysctl -w" not in said


def test_a_high_level_of_a_kernel_that_takes_the_capability_is_no_problem(tmp_path: Path) -> None:
    """Mainline knows no level above 2, and newer kernels of distributions may take CAP_PERFMON at theirs."""
    assert not sampling.problem(levelled(tmp_path, "4\n"), ("true",))


def test_a_machine_that_nobody_knows_how_to_ask_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling.platform, "machine", lambda: "riscv64")
    assert not sampling.problem(levelled(tmp_path, "4\n"), REFUSED)


# Gives up all capabilities, root or not, and then asks.
WITHOUT = """
import ctypes, runpy, struct, sys
ctypes.CDLL(None).capset(struct.pack("=Ii", 0x20080522, 0), bytes(24))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@linux
def test_the_kernel_itself_is_asked() -> None:
    """Who has no capability to keep is refused: a process that only pretended to ask would end well."""
    ask = [sys.executable, "-I", "-c", WITHOUT, sampling.__file__]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Operation not permitted\n")


@linux
def test_up_ends_before_anything_is_built_where_the_agent_cannot_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "check_host", lambda: None)
    monkeypatch.setattr(sampling, "problem", lambda: "no perf event")
    with pytest.raises(preflight.CannotRun, match="no perf event"):
        target.check(Choice())
    target.check(Choice(kind=True))
    target.check(Choice(Path("kubeconfig"), "context"))


# -- processes and their record ------------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A folder that stands in for a control group: it takes what would be written to it."""
    folder = tmp_path / "group"
    folder.mkdir()
    return folder


@linux
def test_a_process_is_known_by_pid_and_start_time(tmp_path: Path, group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    log = tmp_path / "log"
    process = spawn(["sh", "-c", "env; exec sleep 60"], groups=[group], log=log)
    try:
        assert process.alive()
        assert not Process(process.pid, "another boot/1").alive()
        assert (group / "cgroup.procs").read_text() == "0\n"
        while "PATH" not in log.read_text():
            time.sleep(0.01)
        assert {line.partition("=")[0] for line in log.read_text().splitlines()} <= {
            *ENVIRONMENT,
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        }
        assert os.getsid(process.pid) != os.getsid(0)
    finally:
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while process.alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@linux
def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    process = Process(child.pid, f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{own}")
    assert process.alive()
    child.kill()
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert not process.alive()
    child.communicate()


def test_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(50)))
    assert tail(tmp_path / "log").splitlines()[-1] == "  line 49"
    assert tail(tmp_path / "missing") == ""


def test_a_record_is_read_back_and_a_foreign_one_ignored(tmp_path: Path) -> None:
    file = tmp_path / "running.json"
    written = record.Record("digest", {"node": Process(1, "never/0")})
    written.write(file)
    assert record.read(file) == written
    assert written.dead() == ["node"]
    for text in ("", "[]", "{}", '{"digest": "x", "processes": {"node": {"pid": 1}}}'):
        file.write_text(text)
        assert record.read(file) is None


# -- what would be started -----------------------------------------------------------------------------------------


def test_the_networks_lie_apart_and_hold_their_addresses() -> None:
    networks = (layout.NODE_NETWORK, layout.POD_NETWORK, layout.SERVICE_NETWORK)
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)
    hosts = [str(address) for address in layout.NODE_NETWORK.hosts()]
    assert layout.HOST_ADDRESS in hosts
    assert layout.NODE_ADDRESS in hosts
    assert str(next(layout.SERVICE_NETWORK.hosts())) == layout.API_SERVICE_ADDRESS


def test_the_dns_manifest_agrees_with_the_networks() -> None:
    text = components.files("group")[components.DNS_MANIFEST]
    objects = {item["kind"]: item for item in yaml.safe_load_all(text)}
    assert objects["Service"]["spec"]["clusterIP"] == layout.DNS_ADDRESS
    assert f"kubernetes {layout.DOMAIN} " in objects["ConfigMap"]["data"]["Corefile"]


def test_every_component_of_the_combined_binary_is_one_that_it_has() -> None:
    source = (parts.LOCAL / "kube/main.go").read_text()
    assert all(f'"{name}"' in source for name in components.KUBERNETES)
    started = {Path(words[0]).name for words in components.commands().values()}
    assert started <= {*components.KUBERNETES, "containerd"}


def test_all_of_kubernetes_is_one_version() -> None:
    go_mod = parts.LOCAL / "kube/go.mod"
    flags = components.version_flags(go_mod)
    assert "-X k8s.io/component-base/version.gitVersion=v1." in flags
    version = flags.partition("gitVersion=v1.")[2].split()[0]
    replaced = [line.split(" => ")[1].split() for line in go_mod.read_text().splitlines() if " => k8s.io/" in line]
    assert len(replaced) > 30
    assert {found for _, found in replaced} == {f"v0.{version}"}
    coredns = (parts.LOCAL / "coredns/go.mod").read_text()
    assert f"k8s.io/client-go v0.{version} " in coredns


def test_no_certificate_is_for_both_server_and_client() -> None:
    for certificate in pki.CERTIFICATES:
        section = pki._section(certificate)
        assert ("serverAuth" in section) == bool(certificate.names)
        assert ("clientAuth" in section) != bool(certificate.names)
    assert set(pki.CLIENTS) <= {certificate.name for certificate in pki.CERTIFICATES if not certificate.names}


# -- kind ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kind_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs on PATH that write down how they are called; `kind get clusters` knows none."""
    calls = tmp_path / "calls"
    for name in ("docker", "kind", "kubectl"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    return calls


def test_kind_gets_our_kubeconfig_in_every_call_that_could_write_the_users(kind_calls: Path, tmp_path: Path) -> None:
    info = kind.up()
    kind.load_image(Path("/x.tar"))
    kind.down()
    assert info == layout.ClusterInfo(tmp_path / "cache/cluster/kubeconfig", layout.NAME, tmp_path / "bin/kubectl")
    ours = f"--kubeconfig={info.kubeconfig}"
    assert kind_calls.read_text().splitlines() == [
        "kind get clusters",
        f"kind create cluster --name={layout.NAME} {ours} --wait=120s",
        f"kind export kubeconfig --name={layout.NAME} {ours}",
        f"kubectl {ours} config rename-context kind-{layout.NAME} {layout.NAME}",
        f"kind load image-archive /x.tar --name={layout.NAME}",
        f"kind delete cluster --name={layout.NAME} {ours}",
    ]


def test_kind_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalError, match="Missing: docker, kind, kubectl"):
        kind.up()
