"""What runs in the node, with which arguments and configuration files: text only, nothing is started here.

Compared with a production cluster: one etcd without TLS on the node's loopback, no leader election, no aggregation
layer, images never collected or pulled (they are imported), cgroup v1 allowed.
"""

import json
from pathlib import Path

from local.cluster.layout import (
    API_PORT,
    DNS_ADDRESS,
    DOMAIN,
    NAME,
    NODE_ADDRESS,
    NODE_BIN,
    PKI,
    POD_NETWORK,
    SERVICE_NETWORK,
)

KUBERNETES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
KUBELET_CONFIG = "/etc/kubernetes/kubelet.json"
PROXY_CONFIG = "/etc/kubernetes/kube-proxy.json"
DNS_MANIFEST = "/etc/kubernetes/coredns.yaml"
AUDIT_POLICY = "/etc/kubernetes/audit.yaml"
AUDIT_LOG = "/var/log/kube-apiserver-audit.log"
ISSUER = f"https://kubernetes.default.svc.{DOMAIN}"
PAUSE_IMAGE = "localhost/flameplane/pause:local"


def commands() -> dict[str, list[str]]:
    """Name -> command line of every component, in the order of starting."""
    etcd = "http://127.0.0.1:2379"
    alone = ("--bind-address=127.0.0.1", "--leader-elect=false")
    return {
        "containerd": ["/usr/bin/containerd", f"--config={CONTAINERD_CONFIG}"],
        "etcd": [
            f"{NODE_BIN}/etcd",
            "--data-dir=/var/lib/etcd",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=warn",
        ],
        "kube-apiserver": [
            f"{NODE_BIN}/kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--advertise-address={NODE_ADDRESS}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--anonymous-auth=false",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={AUDIT_POLICY}",
            f"--audit-log-path={AUDIT_LOG}",
            "--audit-log-maxsize=20",  # MiB
            "--audit-log-maxbackup=1",
            f"--client-ca-file={PKI}/ca.crt",
            f"--tls-cert-file={PKI}/apiserver.crt",
            f"--tls-private-key-file={PKI}/apiserver.key",
            f"--kubelet-certificate-authority={PKI}/ca.crt",
            f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={PKI}/sa.pub",
            f"--service-account-signing-key-file={PKI}/sa.key",
        ],
        "kube-controller-manager": [
            f"{NODE_BIN}/kube-controller-manager",
            *alone,
            "--kubeconfig=/etc/kubernetes/controller-manager.conf",
            "--use-service-account-credentials=true",
            f"--root-ca-file={PKI}/ca.crt",
            f"--service-account-private-key-file={PKI}/sa.key",
        ],
        "kube-scheduler": [
            f"{NODE_BIN}/kube-scheduler",
            *alone,
            "--kubeconfig=/etc/kubernetes/scheduler.conf",
        ],
        "kubelet": [
            f"{NODE_BIN}/kubelet",
            f"--config={KUBELET_CONFIG}",
            "--kubeconfig=/etc/kubernetes/kubelet.conf",
            f"--node-ip={NODE_ADDRESS}",
        ],
        "kube-proxy": [f"{NODE_BIN}/kube-proxy", f"--config={PROXY_CONFIG}"],
    }


def files(cgroup: str) -> dict[str, str]:
    """Path in the node -> text of every configuration file."""
    return {
        CONTAINERD_CONFIG: CONTAINERD,
        KUBELET_CONFIG: json.dumps(_kubelet(cgroup), indent=2),
        PROXY_CONFIG: json.dumps(_proxy(), indent=2),
        "/etc/cni/net.d/10-pods.conflist": json.dumps(_pod_network(), indent=2),
        AUDIT_POLICY: Path(__file__).with_name("audit.yaml").read_text(),
        DNS_MANIFEST: Path(__file__).with_name("coredns.yaml").read_text(),
        "/etc/os-release": 'PRETTY_NAME="Flameplane local node"\n',
        "/etc/hosts": f"127.0.0.1 localhost\n{NODE_ADDRESS} {NAME}\n",
        "/etc/resolv.conf": f"nameserver {DNS_ADDRESS}\nsearch {DOMAIN}\n",
        "/etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n",
        "/etc/group": "root:x:0:\n",
    }


def _kubelet(cgroup: str) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}/pods",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "/etc/resolv.conf",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",  # the default lies below the read-only /usr
        # Images are imported, not pulled: none may be collected because the user's disk is fairly full.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        # Not harder to kill than the user's own programs, and no limit beyond what a container may be allowed.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "logging": {"verbosity": 1},
    }


def _proxy() -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"},
        "mode": "nftables",
        "clusterCIDR": str(POD_NETWORK),
        "oomScoreAdj": 0,
        # Connection tracking limits are the machine's: zero leaves each as it is.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": f"{NODE_ADDRESS}:10256",
        "metricsBindAddress": f"{NODE_ADDRESS}:10249",
    }


def _pod_network() -> dict[str, object]:
    """Each pod on a cable of its own to the node (ptp), so packets between pods are routed. No way out: ipMasq off."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",  # pods end with the node, and so do their addresses
        "ranges": [[{"subnet": str(POD_NETWORK)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


# restrict_oom_score_adj: without CAP_SYS_RESOURCE every sandbox fails ("can't get final child's PID from pipe: EOF").
# hugetlb: not mounted everywhere. AppArmor: its parser is not among the unpacked packages.
CONTAINERD = f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def version_flags(go_mod: Path) -> str:
    """Linker flags that make the programs say the Kubernetes version they are built from, as a release does."""
    lines = go_mod.read_text().splitlines()
    version = next(line.split()[1] for line in lines if line.startswith("\tk8s.io/kubernetes v"))
    major, minor, _ = version.removeprefix("v").split(".", 2)
    fields = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{field}={value}" for package in packages for field, value in fields.items())
