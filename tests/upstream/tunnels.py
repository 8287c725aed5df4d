"""Started by test_egress_proxy.py inside a network namespace of its own: hosts, the proxy, and requests through it.

Nothing here reaches a real network: the addresses are put on the namespace's loopback interface, and names come from a
hosts file. So the proxy can be given public and private addresses, port 443 among them, and no byte leaves.
Arguments: a JSON file with ``addresses``, ``command``, ``environment``, ``port`` and ``requests`` (name -> first line).
Prints name -> status and, where a tunnel was opened, what came back through it.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

TIMEOUT = 12.0  # seconds


def main() -> None:
    plan: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in plan["addresses"]:
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        for port in (443, 80, 8443):
            threading.Thread(target=echo, args=(address, port), daemon=True).start()
    proxy = subprocess.Popen(
        plan["command"], env={**os.environ, **plan["environment"]}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait(plan["port"], proxy)
        answers = {name: ask(plan["port"], line) for name, line in plan["requests"].items()}
        print(json.dumps(answers))
    finally:
        proxy.terminate()
        proxy.wait(TIMEOUT)


def echo(address: str, port: int) -> None:
    """Says which address was reached, and repeats what it is told."""
    with socket.create_server((address, port)) as server:
        while True:
            peer, _ = server.accept()
            peer.sendall(address.encode() + b" hears " + peer.recv(100))
            peer.close()


def wait(port: int, proxy: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if proxy.poll() is not None:
            assert proxy.stderr
            sys.exit(f"the proxy ended: {proxy.stderr.read().decode(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the proxy does not listen")


def ask(port: int, line: str) -> list[Any]:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.settimeout(TIMEOUT)
        host = line.split()[1].removeprefix("http://").split("/")[0]
        client.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        try:
            head = client.recv(4096).decode(errors="replace")
        except TimeoutError:
            return [0, "no answer"]
        status = int(head.split()[1])
        if status != 200 or not line.startswith("CONNECT"):
            return [status, ""]
        client.sendall(b"hello")
        return [status, client.recv(200).decode()]


if __name__ == "__main__":
    main()
