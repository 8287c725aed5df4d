"""Write figures to Prometheus (Remote-Write 1.0), which our jobs do at their end: nobody would scrape them in time.

What was written is seen for five minutes, as every sample is: rules look at such series with ``last_over_time``.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3

from flameplane.wire.prometheus_pb2 import Label, Sample, TimeSeries, WriteRequest

PATH: Final = "/api/v1/write"
SECONDS: Final = 30.0
_LITERAL: Final = 1 << 16  # bytes of one element
_HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "flameplane",
}


class NotWritten(Exception):
    """Prometheus did not take the figures; the message says why and what to do."""


@dataclass(frozen=True)
class Figure:
    """One sample of a metric."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def write(url: str, figures: Iterable[Figure], now: float | None = None) -> None:
    """Write to the Prometheus at ``url``. Raises ``NotWritten``."""
    millis = int((time.time() if now is None else now) * 1000)
    body = snappy(WriteRequest(timeseries=[_series(one, millis) for one in figures]).SerializeToString())
    again = urllib3.Retry(total=3, status_forcelist=[429, 502, 503, 504], allowed_methods=["POST"], backoff_factor=0.5)
    try:
        pool = urllib3.PoolManager(timeout=SECONDS)
        answer = pool.request("POST", url.rstrip("/") + PATH, body=body, headers=_HEADERS, retries=again)
    except urllib3.exceptions.HTTPError as error:
        raise NotWritten(f"{url} cannot be reached: {' '.join(str(error).split())}") from error
    if answer.status == 404:
        raise NotWritten(f"{url} does not take remote writes: start it with --web.enable-remote-write-receiver")
    if answer.status >= 300:
        said = " ".join(answer.data[:200].decode(errors="replace").split())
        raise NotWritten(f"{url} refuses the figures: {answer.status} {said}")


def _series(one: Figure, millis: int) -> TimeSeries:
    labels = {"__name__": one.name, **one.labels}
    return TimeSeries(
        labels=[Label(name=name, value=value) for name, value in sorted(labels.items())],  # the protocol wants them so
        samples=[Sample(value=one.value, timestamp=millis)],
    )


def snappy(text: bytes) -> bytes:
    """The block format of Snappy, which the protocol demands, of literals alone: a few hundred bytes need no more.

    google/snappy, format_description.txt: the length as a varint, then elements; tag 61 << 2 is a literal whose length
    less one follows in two bytes.
    """
    return b"".join([_varint(len(text)), *_literals(text)])


def _literals(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), _LITERAL):
        part = text[start : start + _LITERAL]
        yield bytes([61 << 2]) + (len(part) - 1).to_bytes(2, "little") + part


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
