"""Child processes: started with a lifeline, watched, measured, and ended whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

_CHILD: Final = Path(__file__).with_name("child.py")
_POLL: Final = 0.02  # seconds
_GRACE: Final = 3.0  # seconds between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Usage:
    """What a process used."""

    cpu_seconds: float
    peak_rss_mb: float


class Child:
    """A running ``child.py``. Its output goes to unnamed files: a full pipe can then never block it."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], *files: IO[bytes]) -> None:
        self._stdout, self._stderr = files
        self.usage: Usage | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-u", str(_CHILD), *arguments],
            cwd=cwd,
            env={**env, "no_grpc_proxy": "127.0.0.1"},  # as servers.CHANNEL_OPTIONS: the SDK's channels take no options
            stdin=subprocess.PIPE,
            stdout=self._stdout,
            stderr=self._stderr,
            start_new_session=True,  # so that what it starts itself can be ended with it
        )

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return _text(self._stdout)

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return _text(self._stderr)

    def poll(self) -> int | None:
        """Exit code (negative: the signal), or None while it runs."""
        if self._process.returncode is None:
            with suppress(ChildProcessError):
                pid, status, used = os.wait4(self._process.pid, os.WNOHANG)
                if pid:
                    self._process.returncode = os.waitstatus_to_exitcode(status)
                    self._signal(signal.SIGKILL)  # what it left behind in its session
                    unit = 2**20 if sys.platform == "darwin" else 2**10
                    self.usage = Usage(used.ru_utime + used.ru_stime, used.ru_maxrss / unit)
        return self._process.returncode

    def wait(self, until: Callable[[], bool]) -> int | None:
        """Wait until the process has ended or ``until`` says so; the exit code, or None."""
        while (code := self.poll()) is None and not until():
            time.sleep(_POLL)
        return code

    def end(self) -> None:
        """End it and everything it started."""
        assert self._process.stdin
        if self.poll() is None:
            deadline = time.monotonic() + _GRACE
            self._signal(signal.SIGTERM)
            if self.wait(lambda: time.monotonic() > deadline) is None:
                self._signal(signal.SIGKILL)
                self.wait(lambda: False)
        self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextmanager
def running(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Iterator[Child]:
    """Run ``child.py`` for the time of the block."""
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        child = Child(arguments, cwd, env, stdout, stderr)
        try:
            yield child
        finally:
            child.end()


def _text(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")
