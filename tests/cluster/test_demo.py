"""The images built on this machine run in the local cluster as strictly confined pods.

Shows that each demo service answers, works a little by itself, and stops when told; that profiles of the Go one name
its functions; and that file capabilities reach the process. Not shown: the platform's own objects for these services.
"""

import gzip
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import named, status_of

import local.cluster
from local import images
from local.cluster import ClusterInfo
from local.images import archive, recipes

NAMESPACE = "flameplane-test-demo"
# Service -> what its page shows.
DEMOS = {"demo-go": '"totalCents":', "demo-java": '"hits":', "demo-node": "<article>", "demo-python": '"products":'}
LEAST_LOAD, MOST_LOAD = 0.002, 0.15  # of a core
PERFMON_AND_BPF = 1 << 38 | 1 << 39

RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class Kubectl:
    """kubectl on the local cluster, and nothing else."""

    def __init__(self, info: ClusterInfo) -> None:
        self.command = [str(info.kubectl), f"--kubeconfig={info.kubeconfig}", f"--context={info.context}"]

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        command = [*self.command, f"--namespace={NAMESPACE}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def run(self, name: str, image: str, container: dict | None = None) -> None:
        """Create a pod and wait until it is ready."""
        spec = {
            "automountServiceAccountToken": False,
            "securityContext": RESTRICTED_POD,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "Never",
                    "securityContext": {**RESTRICTED_CONTAINER, **(container or {})},
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "1", "memory": "256Mi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                }
            ],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self("apply", "--filename=-", given=json.dumps(pod))
        self("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def pod(self, name: str) -> dict:
        return json.loads(self("get", "pod", name, "--output=json"))

    def cpu_seconds(self) -> dict[str, tuple[float, float]]:
        """Pod -> when it was measured and the CPU seconds it has used until then."""
        node = self.pod("demo-go")["spec"]["nodeName"]
        summary = json.loads(self("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
        used = {}
        for pod in summary["pods"]:
            if pod["podRef"]["namespace"] == NAMESPACE and "usageCoreNanoSeconds" in pod.get("cpu", {}):
                measured = time.mktime(time.strptime(pod["cpu"]["time"], "%Y-%m-%dT%H:%M:%SZ"))
                used[pod["podRef"]["name"]] = (measured, pod["cpu"]["usageCoreNanoSeconds"] / 1e9)
        return used


@pytest.fixture(scope="module")
def kubectl(cluster: ClusterInfo) -> Iterator[Kubectl]:
    """A namespace that admits restricted pods only, with every demo service running in it."""
    kubectl = Kubectl(cluster)
    _recreate(kubectl)
    for name in DEMOS:
        local.cluster.load_image(images.build(name, recipes.buildable()[name]))
        kubectl.run(name, images.reference(name))
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE)


def _recreate(kubectl: Kubectl) -> None:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    kubectl("apply", "--filename=-", given=json.dumps(namespace))


def _get(address: str, path: str, port: int = 8080) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("name", DEMOS)
def test_a_service_answers(kubectl: Kubectl, name: str) -> None:
    pod = kubectl.pod(name)
    address = pod["status"]["podIP"]
    assert _get(address, "/healthz") == (200, b"ok\n")
    status, page = _get(address, "/")
    assert status == 200
    assert DEMOS[name] in page.decode()
    assert _get(address, "/missing")[0] == 404
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_every_service_works_a_little(kubectl: Kubectl) -> None:
    first: dict[str, tuple[float, float]] = {}
    loads: dict[str, float] = {}
    deadline = time.monotonic() + 90
    while set(loads) != set(DEMOS):
        assert time.monotonic() < deadline, f"the kubelet measured only {loads}"
        for name, (measured, used) in kubectl.cpu_seconds().items():
            started, before = first.setdefault(name, (measured, used))
            if measured - started >= 15:
                loads[name] = (used - before) / (measured - started)
        time.sleep(2)
    assert {name: load for name, load in loads.items() if not LEAST_LOAD < load < MOST_LOAD} == {}


def test_profiles_of_the_go_service(kubectl: Kubectl) -> None:
    address = kubectl.pod("demo-go")["status"]["podIP"]
    status, profile = _get(address, "/debug/pprof/profile?seconds=8", 6060)
    assert status == 200
    assert b"main.(*till).signOrder" in gzip.decompress(profile)
    assert _get(address, "/debug/pprof/heap", 6060)[0] == 200
    assert _get(address, "/debug/pprof/cmdline", 6060)[0] == 404
    assert _get(address, "/debug/pprof/heap", 8080)[0] == 404


def test_a_file_capability_reaches_the_process(kubectl: Kubectl, tmp_path: Path) -> None:
    """A pod that may have two capabilities, and a program that carries them as permitted: there, not yet effective."""
    program = recipes.golang.build(recipes.DEMO / "go", ".", "checkout")
    image, reference = tmp_path / "capable.tar", images.reference("test-capable")
    capabilities = {"/checkout": "cap_perfmon,cap_bpf=p"}
    archive.assemble(image, reference, {"/checkout": program}, entrypoint=["/checkout"], capabilities=capabilities)
    local.cluster.load_image(image)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    kubectl.run("capable", reference, {"capabilities": {"drop": ["ALL"], "add": ["PERFMON", "BPF"]}})
    status = status_of(named(kubectl.pod("capable")["metadata"]["uid"], "checkout"))
    assert int(status["CapPrm"], 16) == PERFMON_AND_BPF
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("name", DEMOS)
def test_a_service_stops_when_told(kubectl: Kubectl, name: str) -> None:
    """Deleting waits for the process; one that ignores SIGTERM is killed only after 30 seconds."""
    begin = time.monotonic()
    kubectl("delete", "pod", name, "--wait")
    assert time.monotonic() - begin < 15
