"""A real single-node Kubernetes on a Linux machine, as root, without Docker, systemd or anything installed.

Programs come from Go modules (etcd, all of Kubernetes, CoreDNS) and unpacked Debian packages (containerd, runc, CNI
plugins, nftables). The node is a set of namespaces on the host's kernel; the host reaches the API at
https://10.213.0.11:6443, and pods (10.214.0.0/16) and services (10.215.0.0/16) by their addresses.

What it is not: NetworkPolicy objects are validated and stored but NOT enforced; there is no LoadBalancer, no dynamic
volumes (hostPath volumes lie below /var/lib/flameplane of the node), no registry (images are loaded from archives), no
metrics API, and pods cannot reach the internet. The kernel is shared with the host, so it is no security boundary.
"""

from local.cluster.layout import ClusterInfo
from local.cluster.lifecycle import down, load_image, status, up
from local.cluster.preflight import CannotRun
from local.cluster.progress import Progress, silent

__all__ = ["CannotRun", "ClusterInfo", "Progress", "down", "load_image", "silent", "status", "up"]
