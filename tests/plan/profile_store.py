"""A stand-in for Pyroscope, in memory: the four calls that the downsampling job makes, by the rules that matter to it.

A contract-level stand-in, not Pyroscope: what is asked, in which steps values are told (Pyroscope's own code:
`pkg/model/timeseries/range.go`), that what is pushed twice counts twice, and that what was pushed 24 hours late is
never found. Whether Pyroscope does the same, tests/upstream/test_upstream_downsample.py says. It takes the tenant from
Pyroscope's own header, as the gateway sends it, or plays the gateway's part: the tenant by path, and on a push by the
label `team`.
"""

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import Message
from pprof_samples import CPU, Stacks, merged, stacks_of

from flameplane.wire import pyroscope_pb2 as wire

HOUR = 3_600_000
DAY = 24 * HOUR
MATCHER = re.compile(r'([a-zA-Z_]+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Stored:
    """One profile as it was pushed."""

    labels: Mapping[str, str]
    type: str
    time: int  # milliseconds
    duration: int
    stacks: Stacks
    pushed: int

    @property
    def total(self) -> int:
        return sum(self.stacks.values())


@dataclass
class Store:
    """Profiles by tenant. ``before`` and ``after`` are called with each procedure and may raise ``Refused``."""

    tenants: dict[str, list[Stored]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None  # what was pushed is stored by then
    headers: Mapping[str, str] = field(default_factory=dict)  # of the last call
    url: str = ""

    def add(
        self, tenant: str, labels: Mapping[str, str], at: int, stacks: Stacks, type_: str = CPU, pushed: int = 0
    ) -> None:
        """Put a profile in, as if it had been pushed when it was made."""
        self.tenants.setdefault(tenant, []).append(Stored(labels, type_, at, 0, stacks, pushed or at))

    def found(self, tenant: str, type_: str, selector: str, start: int, end: int) -> list[Stored]:
        """What a query of ``[start, end]`` finds: by time, and by when it was pushed, a day around the window."""
        return [
            one
            for one in self.tenants.get(tenant, [])
            if type_ in ("", one.type)
            and start <= one.time <= end
            and start - DAY <= one.pushed <= end + DAY
            and matches(one.labels, selector)
        ]

    def total(self, tenant: str, type_: str = CPU, selector: str = "{}") -> int:
        return sum(one.total for one in self.found(tenant, type_, selector, 0, 1 << 60))


class Refused(Exception):
    """An answer that is none: status, Connect's code, words."""


def matches(labels: Mapping[str, str], selector: str) -> bool:
    tests = {
        "=": lambda have, want: have == want,
        "!=": lambda have, want: have != want,
        "=~": lambda have, want: re.fullmatch(want, have) is not None,
        "!~": lambda have, want: re.fullmatch(want, have) is None,
    }
    return all(
        tests[how](labels.get(name, ""), re.sub(r"\\(.)", r"\1", value))
        for name, how, value in MATCHER.findall(selector)
    )


@contextmanager
def serving(store: Store) -> Iterator[Store]:
    """The store on a socket of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, answer = 200, _answer(store, self.path, dict(self.headers), body).SerializeToString()
            except Refused as error:
                status, code, words = error.args
                answer = f'{{"code":"{code}","message":"{words}"}}'.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/proto" if status == 200 else "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(store: Store, path: str, headers: Mapping[str, str], body: bytes) -> Message:
    tenant = next((value for name, value in headers.items() if name.lower() == "x-scope-orgid"), "")
    if not tenant and path.startswith("/tenant/"):
        tenant, _, path = path.removeprefix("/tenant/").partition("/")
        path = "/" + path
    method = path.rpartition("/")[2]
    store.calls.append(method)
    store.headers = headers
    store.before(method)
    asked: dict[str, tuple[type[Message], Callable[[Store, str, Message], Message]]] = {
        "/querier.v1.QuerierService/ProfileTypes": (wire.ProfileTypesRequest, _types),
        "/querier.v1.QuerierService/Series": (wire.SeriesRequest, _series),
        "/querier.v1.QuerierService/SelectSeries": (wire.SelectSeriesRequest, _totals),
        "/querier.v1.QuerierService/SelectMergeProfile": (wire.SelectMergeProfileRequest, _merged),
        "/push.v1.PusherService/Push": (wire.PushRequest, _push),
    }
    if path not in asked:
        raise Refused(404, "unimplemented", f"no {path}")
    kind, handle = asked[path]
    answer = handle(store, tenant, kind.FromString(body))
    store.after(method)
    return answer


def _types(store: Store, tenant: str, m: wire.ProfileTypesRequest) -> wire.ProfileTypesResponse:
    names = sorted({one.type for one in store.found(tenant, "", "", m.start, m.end)})
    return wire.ProfileTypesResponse(profile_types=[wire.ProfileType(ID=name) for name in names])


def _series(store: Store, tenant: str, m: wire.SeriesRequest) -> wire.SeriesResponse:
    found = store.found(tenant, "", m.matchers[0] if m.matchers else "", m.start, m.end)
    sets = {tuple(sorted((n, v) for n, v in one.labels.items() if n in m.label_names)) for one in found}
    return wire.SeriesResponse(labels_set=[wire.Labels(labels=_pairs(labels)) for labels in sorted(sets)])


def _totals(store: Store, tenant: str, m: wire.SelectSeriesRequest) -> wire.SelectSeriesResponse:
    """A step at t holds (t - step, t]; the first one also what stands on its lower edge. What is behind the last step
    is not told."""
    step, points = int(m.step * 1000), dict[tuple[tuple[str, str], ...], dict[int, float]]()
    for one in store.found(tenant, m.profile_typeID, m.label_selector, m.start - step, m.end):
        at = max(m.start, m.start + -(-(one.time - m.start) // step) * step)
        if at > m.end:
            continue
        labels = tuple(sorted((name, one.labels[name]) for name in m.group_by if one.labels.get(name)))
        of = points.setdefault(labels, {})
        of[at] = of.get(at, 0.0) + one.total
    series = [
        wire.Series(labels=_pairs(labels), points=[wire.Point(timestamp=t, value=v) for t, v in sorted(of.items())])
        for labels, of in sorted(points.items())
    ]
    return wire.SelectSeriesResponse(series=series)


def _merged(store: Store, tenant: str, m: wire.SelectMergeProfileRequest) -> wire.Profile:
    found = store.found(tenant, m.profile_typeID, m.label_selector, m.start, m.end)
    return merged([one.stacks for one in found], m.profile_typeID, m.end)


def _push(store: Store, tenant: str, m: wire.PushRequest) -> wire.PushResponse:
    for series in m.series:
        labels = {pair.name: pair.value for pair in series.labels}
        name = labels.pop("__name__")
        if not labels.get("team"):
            raise Refused(400, "invalid_argument", "a series has no label team")
        for sample in series.samples:
            profile = wire.Profile.FromString(gzip.decompress(sample.raw_profile))
            kind, stacks = stacks_of(profile)
            at, now = profile.time_nanos // 1_000_000, int(time.time() * 1000)
            if now - at > DAY:
                raise Refused(400, "invalid_argument", "the profile is older than reject_older_than")
            stored = Stored(labels, f"{name}:{kind}", at, profile.duration_nanos // 1_000_000, stacks, now)
            store.tenants.setdefault(tenant or f"{labels['team']}-longterm", []).append(stored)
    return wire.PushResponse()


def _pairs(labels: tuple[tuple[str, str], ...]) -> list[wire.LabelPair]:
    return [wire.LabelPair(name=name, value=value) for name, value in labels]
