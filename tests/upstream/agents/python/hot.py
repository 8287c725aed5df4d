"""Burns CPU in one function and pushes it as the Python SDK does."""

import os
import time

import pyroscope


def hot(end: float) -> int:
    """Nothing of it is called, so that its samples are its own."""
    count = 0
    while time.monotonic() < end:
        for step in range(100_000):
            count ^= step
    return count


started = pyroscope.configure(
    application_name=os.environ["SERVICE"],
    server_address=os.environ["GATEWAY"],
    http_headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
    tags={"team": os.environ["TEAM"]},
    upload_interval=2,
    mem_enabled=True,
    mem_heap_sample_size=1024,
)
assert started is not False, "the profiler did not start"
end, kept = time.monotonic() + float(os.environ["SECONDS_LONG"]), []
while time.monotonic() < end:
    hot(min(end, time.monotonic() + 0.5))
    kept.append(bytearray(100_000))  # for the memory profile
pyroscope.shutdown()
