"""A terminal, as people have it: what asks questions is tried on a real pty."""

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]


class Terminal:
    """A program on a pty, with somebody who reads and types."""

    def __init__(self, *arguments: str) -> None:
        self.process, self.end = pty.fork()
        if self.process == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a shell ignores Ctrl-C
            os.environ |= {"PYTHONPATH": str(PROJECT), "NO_COLOR": "1", "TERM": "dumb"}
            code = "from flameplane.cli import main; main()"
            os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
        self.seen = ""

    def expect(self, words: str, then: str | None = None) -> None:
        """Wait for words that were not seen before; then type."""
        deadline = time.monotonic() + 30
        while words not in self.seen:
            ready, _, _ = select.select([self.end], [], [], max(0, deadline - time.monotonic()))
            try:
                data = os.read(self.end, 4096) if ready else b""
            except OSError:  # the other end is closed
                data = b""
            assert data, f"no {words!r} in {self.seen!r}"
            self.seen += data.decode()
        self.seen = self.seen.partition(words)[2]
        if then is not None:
            self.type(then)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.end, text.encode())

    def leave(self) -> None:
        """Ctrl-C, until it is heard: Python misses one between printing the question and waiting for the answer."""
        for _ in range(10):
            self.type("\x03")
            until = time.monotonic() + 3
            while "Aborted" not in self.seen and select.select([self.end], [], [], max(0, until - time.monotonic()))[0]:
                self.seen += os.read(self.end, 4096).decode()
            if "Aborted" in self.seen:
                return
        raise AssertionError(f"Ctrl-C is not heard: {self.seen!r}")

    def exit_code(self) -> int:
        _, status = os.waitpid(self.process, 0)
        os.close(self.end)
        return os.waitstatus_to_exitcode(status)
