"""What the tests of `flameplane downsample` share: a store to run against, an hour that is closed, pods that upload."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import Result
from pprof_samples import CPU
from profile_store import HOUR, Store, serving
from typer.testing import CliRunner

from flameplane.cli import app

STACKS = {("leaf", "main"): 700, ("main",): 300}
CHECKOUT = {"service_name": "checkout", "team": "payments", "version": "1.4.0", "namespace": "shop"}
FINE, LONG = "payments", "payments-longterm"


@dataclass
class TokenStore(Store):
    """A store, and the file of the token that the job shows it."""

    token: Path = Path()


@contextmanager
def serving_with_token(folder: Path) -> Iterator[Store]:
    (folder / "token").write_text("secret\n")
    with serving(TokenStore(token=folder / "token")) as found:
        yield found


def last_hour() -> int:
    """Start of the last hour that is closed: nothing more may come in for it."""
    return (int(time.time() * 1000) - HOUR) // HOUR * HOUR - HOUR


def run(store: Store, *options: str) -> Result:
    assert isinstance(store, TokenStore)
    command = ["downsample", f"--gateway={store.url}", f"--gateway-token={store.token}", *options]
    return CliRunner().invoke(app, command)


def pods(store: Store, hour: int, count: int = 3, every: int = 15_000, **labels: str) -> int:
    """CPU of an hour from several pods that upload in turn; its total."""
    for pod in range(count):
        for at in range(hour + 100 * pod, hour + HOUR, every):
            store.add(FINE, {**CHECKOUT, "pod": f"checkout-{pod}", "container": "app", **labels}, at, STACKS)
    return store.total(FINE, CPU)
