"""gRPC servers of our own: on the loopback, on a port the system picks, gone when the block ends."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import grpc  # type: ignore[import-untyped]

CHANNEL_OPTIONS: Final = (
    # Pulumi's own limit: one message can hold every resource of a stack.
    ("grpc.max_receive_message_length", 400 * 2**20),
    ("grpc.max_send_message_length", 400 * 2**20),
    ("grpc.enable_http_proxy", 0),  # gRPC would ask a proxy even for the loopback
)
# More than the program's own 16 threads, so that calls never queue behind one that waits for a transform.
_THREADS: Final = 24


@contextmanager
def serving(*register: Callable[[grpc.Server], None]) -> Iterator[str]:
    """Serve what ``register`` adds; yields the address."""
    with ThreadPoolExecutor(_THREADS, "plan") as pool:
        server = grpc.server(pool, options=(*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)))
        for add in register:
            add(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(grace=0).wait()
