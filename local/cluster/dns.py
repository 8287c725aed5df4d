"""One DNS question from the host to the cluster: an answer proves pod network, kube-proxy and CoreDNS at once."""

import socket
import struct

from local.cluster.layout import API_SERVICE_ADDRESS, DNS_ADDRESS, DOMAIN

QUESTION = f"kubernetes.default.svc.{DOMAIN}"
TIMEOUT = 1.0
TYPE_A, CLASS_IN, RECURSION_DESIRED = 1, 1, 0x0100


def answers() -> bool:
    """Whether the name of the API server's Service resolves to its address."""
    header = struct.pack(">6H", 1, RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in QUESTION.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(TIMEOUT)
        try:
            udp.sendto(header + labels + b"\0" + struct.pack(">2H", TYPE_A, CLASS_IN), (DNS_ADDRESS, 53))
            answer = udp.recv(512)
        except OSError:  # no answer, or kube-proxy's "no such endpoint"
            return False
    return answer.endswith(socket.inet_aton(API_SERVICE_ADDRESS))
