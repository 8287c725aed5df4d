"""The local cluster itself: it is a real Kubernetes, can be killed at any moment, and leaves no trace.

Proves nothing about what is installed on it, nor about cgroup v2 where the machine has v1 (and the other way round).
"""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import local.cluster
from local import LocalError, cache, debian
from local.cluster import cgroups, lifecycle, network, node, record
from local.cluster.layout import LINK, NAME, NODE_ADDRESS, ClusterInfo, Layout
from local.cluster.node import Node
from local.images import archive

IMAGE = "localhost/flameplane/busybox:test"
NAMESPACE = "flameplane-cluster-test"
BPF_FS_MAGIC = "cafe4a11"  # linux/magic.h
WATCHED = ("/etc", "/opt", "/run", "/usr/lib", "/usr/libexec", "/usr/local/bin", "/var/lib", "/var/log", "/sys/fs/bpf")


class Kubectl:
    """kubectl of the cluster, with its kubeconfig and nothing else."""

    def __init__(self, info: ClusterInfo, scratch: Path) -> None:
        self.command = [str(info.kubectl), f"--kubeconfig={info.kubeconfig}", f"--cache-dir={scratch}"]

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        done = subprocess.run([*self.command, *words], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        """What kubectl says when it fails."""
        done = subprocess.run([*self.command, *words], capture_output=True, text=True, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr


# -- a whole life --------------------------------------------------------------------------------------------------


def traces() -> dict[str, object]:
    """Everything on this machine that a cluster could change and that others leave alone for a minute."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    settings = [Path("/proc/sys") / name for name in (*node.MACHINE_SETTINGS, "net/ipv4/ip_forward", "kernel/hostname")]
    return {
        "mounts": sorted(mounts),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": sorted(line.split()[:3] for line in Path("/proc/net/route").read_text().splitlines()),
        "cgroups": sorted(
            str(path) for tree in cgroups.hierarchies() for path in tree.mount.iterdir() if path.is_dir()
        ),
        "processes": processes_of_the_cache(),
        "settings": {str(path): path.read_text() for path in settings if path.exists()},
        "files": {
            folder: sorted(path.name for path in Path(folder).iterdir()) for folder in WATCHED if Path(folder).is_dir()
        },
    }


def processes_of_the_cache() -> list[str]:
    """Processes whose root or program lies in our cache, or that run in our control group."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            places = [str((process / name).readlink()) for name in ("root", "exe")]
            groups = (process / "cgroup").read_text()
            command = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if Layout.current().cgroup in groups or any(place.startswith(str(cache.root())) for place in places):
            found.append(command)
    return sorted(found)


def test_up_and_down_leave_nothing_but_the_cache(no_cluster: Layout) -> None:
    before = traces()
    info = local.cluster.up()
    during = traces()
    assert local.cluster.status() == info
    assert during["mounts"] == before["mounts"]
    assert during["settings"] == before["settings"]
    assert during["files"] == before["files"]
    assert LINK in during["links"]
    assert len(during["processes"]) >= 8

    first = no_cluster.record.read_text()
    begin = time.monotonic()
    assert local.cluster.up() == info
    assert time.monotonic() - begin < 2
    assert no_cluster.record.read_text() == first

    local.cluster.down()
    assert traces() == before
    assert not no_cluster.root.exists()
    assert local.cluster.status() is None


def test_an_interrupted_up_is_simply_run_again(no_cluster: Layout) -> None:
    before = traces()
    command = [sys.executable, "-m", "local.cluster", "up"]
    first = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (Path("/sys/class/net") / LINK).exists():
        assert first.poll() is None
        time.sleep(0.02)
    time.sleep(1.5)  # the API server is starting
    first.kill()
    first.wait()
    assert local.cluster.status() is None
    assert processes_of_the_cache()

    local.cluster.up()
    assert local.cluster.status()
    local.cluster.down()
    assert traces() == before


@pytest.mark.parametrize("killed", ["kube-scheduler", "node"])
def test_a_half_dead_cluster_is_noticed_and_repaired_with_its_data(
    no_cluster: Layout, tmp_path: Path, killed: str
) -> None:
    kubectl = Kubectl(local.cluster.up(), tmp_path)
    kubectl("create", "configmap", "kept", "--from-literal=answer=42")
    running = record.read(no_cluster.record)
    assert running
    os.kill(running.processes[killed].pid, signal.SIGKILL)
    while running.processes[killed].alive():
        time.sleep(0.01)
    assert local.cluster.status() is None
    assert lifecycle.problems(no_cluster) == [f"not running any more: {killed}"]

    local.cluster.up()
    assert kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.answer}") == "42"
    assert not any(process.alive() for process in running.processes.values())


# -- a running one -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kubectl(cluster: ClusterInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl with a namespace of this file's own and an image with a shell."""
    scratch = tmp_path_factory.mktemp("cluster")
    busybox = debian.unpack("busybox", ["busybox-static"]) / "bin/busybox"
    programs = scratch / "bin"
    programs.mkdir()
    (programs / "busybox").write_bytes(busybox.read_bytes())
    (programs / "busybox").chmod(0o755)
    for name in ("cat", "grep", "httpd", "id", "ls", "mkdir", "nslookup", "sh", "sleep", "stat", "touch", "wget"):
        (programs / name).symlink_to("busybox")
    archive.assemble(scratch / "busybox.tar", IMAGE, {"/bin": programs}, entrypoint=["/bin/sh", "-c"])
    local.cluster.load_image(scratch / "busybox.tar")
    client = Kubectl(cluster, scratch / "discovery")
    client("create", "namespace", NAMESPACE)
    yield client
    client("delete", "namespace", NAMESPACE, "--wait=true")


def apply(kubectl: Kubectl, *objects: dict[str, object]) -> None:
    items = [{"apiVersion": "v1", **item} for item in objects]
    kubectl(
        "apply",
        f"--namespace={NAMESPACE}",
        "-f",
        "-",
        stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": items}),
    )


def run_pod(kubectl: Kubectl, name: str, script: str, volumes: dict[str, str] | None = None, **spec: object) -> None:
    """A non-root pod that runs `script`; `volumes` are hostPath folders of the node by their path in the pod."""
    mounts = [{"name": f"v{i}", "mountPath": path} for i, path in enumerate(volumes or {})]
    sources = [{"name": f"v{i}", "hostPath": {"path": path}} for i, path in enumerate((volumes or {}).values())]
    container = {"name": "main", "image": IMAGE, "args": [script], "volumeMounts": mounts}
    container |= dict(spec.pop("container", {}))  # type: ignore[call-overload]
    pod = {"containers": [container], "volumes": sources, "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    apply(kubectl, {"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": pod | spec})


def output(kubectl: Kubectl, name: str) -> str:
    """What the pod printed when it had succeeded."""
    kubectl(
        "wait", f"--namespace={NAMESPACE}", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s"
    )
    return kubectl("logs", f"--namespace={NAMESPACE}", name)


def test_the_api_server_is_the_version_that_was_built_and_is_verified(cluster: ClusterInfo, kubectl: Kubectl) -> None:
    go_mod = (Path(local.cluster.__file__).parents[1] / "kube/go.mod").read_text()
    versions = json.loads(kubectl("version", "-o", "json"))
    for side in ("clientVersion", "serverVersion"):
        assert f"\tk8s.io/kubernetes {versions[side]['gitVersion']}\n" in go_mod
    with pytest.raises(urllib.error.URLError, match="certificate"):
        urllib.request.urlopen(f"https://{NODE_ADDRESS}:6443/readyz", context=ssl.create_default_context(), timeout=5)
    assert "insecure-skip-tls-verify" not in cluster.kubeconfig.read_text()
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert kubectl("config", "current-context").strip() == cluster.context == NAME


def test_admission_is_as_in_production(kubectl: Kubectl) -> None:
    assert "mutatingadmissionpolicies" in kubectl("get", "--raw", "/apis/admissionregistration.k8s.io/v1")
    other, own = (("--as-group=system:nodes", f"--as=system:node:{name}") for name in ("other", NAME))
    assert "only its own Node object" in kubectl.refused("get", "node", NAME, *other)
    assert "not allowed to modify labels" in kubectl.refused(
        "label", "node", NAME, "node-restriction.kubernetes.io/a=b", *own
    )
    assert "forbidden" in kubectl.refused("get", "pods", "--as=system:serviceaccount:default:default")
    verified = ssl.create_default_context(cafile=str(Layout.current().pki / "ca.crt"))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"https://{NODE_ADDRESS}:6443/api", context=verified, timeout=5)


def test_pods_serve_services_by_name_and_by_address(kubectl: Kubectl) -> None:
    web = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    run_pod(kubectl, "web", "mkdir /tmp/w && id > /tmp/w/index.html && httpd -f -p 8080 -h /tmp/w", container=web)
    apply(
        kubectl,
        {
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    kubectl("wait", f"--namespace={NAMESPACE}", "--for=condition=Ready", "pod/web", "--timeout=60s")
    run_pod(kubectl, "client", f"wget -q -O - http://web.{NAMESPACE}.svc.cluster.local/")
    assert "uid=65532" in output(kubectl, "client")

    addresses = [
        kubectl("get", f"--namespace={NAMESPACE}", "service/web", "-o", "jsonpath={.spec.clusterIP}:80"),
        kubectl("get", f"--namespace={NAMESPACE}", "pod/web", "-o", "jsonpath={.status.podIP}:8080"),
    ]
    for address in addresses:  # the host reaches both
        with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
            assert b"uid=65532" in answer.read()
    assert "8080" in kubectl("exec", f"--namespace={NAMESPACE}", "web", "--", "cat", "/proc/1/cmdline")


def test_the_node_gives_an_agent_what_it_needs(cluster: ClusterInfo, kubectl: Kubectl) -> None:
    volumes = {"/bpf": "/sys/fs/bpf", "/data": "/var/lib/flameplane"}
    script = f"stat -f -c %t /bpf && ls -d /proc/{os.getpid()} && touch /data/written "
    limits = {"resources": {"limits": {"memory": "32Mi", "cpu": "100m"}}}
    run_pod(kubectl, "agent", script, volumes, hostPID=True, securityContext={"runAsUser": 0}, container=limits)
    assert output(kubectl, "agent").split() == [BPF_FS_MAGIC, f"/proc/{os.getpid()}"]
    written = Layout.current().disk / "var/lib/flameplane/written"
    assert written.exists()
    written.unlink()


def test_a_localhost_seccomp_profile_is_read_from_the_kubelets_folder(kubectl: Kubectl) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }
    folder = Layout.current().disk / "var/lib/kubelet/seccomp"
    (folder / "test.json").write_text(json.dumps(profile))
    try:
        security = {"seccompProfile": {"type": "Localhost", "localhostProfile": "test.json"}}
        run_pod(
            kubectl, "seccomp", "mkdir /tmp/x 2>/dev/null || grep Seccomp: /proc/self/status", securityContext=security
        )
        assert output(kubectl, "seccomp").split() == ["Seccomp:", "2"]
    finally:
        (folder / "test.json").unlink()


def test_an_image_is_loaded_once(kubectl: Kubectl, tmp_path: Path) -> None:
    image = tmp_path / "once.tar"
    archive.assemble(image, "localhost/flameplane/once:test", {"/x": b"x"}, entrypoint=["/x"])
    local.cluster.load_image(image)
    begin = time.monotonic()
    local.cluster.load_image(image)
    assert time.monotonic() - begin < 0.1
    running = record.read(Layout.current().record)
    assert running
    images = Node.of(running.processes["node"]).run("/usr/bin/ctr", "-n", "k8s.io", "images", "ls", "-q", doing="list")
    assert "localhost/flameplane/once:test" in images
    with pytest.raises(LocalError, match="Cannot read the image archive"):
        local.cluster.load_image(tmp_path / "missing.tar")


def test_a_second_cluster_is_refused_by_name(cluster: ClusterInfo) -> None:
    with pytest.raises(
        LocalError, match=f"{LINK} exists already. It says: Flameplane cluster in {cluster.kubeconfig.parent}"
    ):
        network.check_free("a cluster of another cache")
