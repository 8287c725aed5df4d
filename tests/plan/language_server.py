"""yaml-language-server, the one that editors run, driven as an editor drives it: the Language Server Protocol on pipes.

Positions of the protocol start at 0; here lines and columns start at 1, as in findings.
"""

import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

from local import cache

HERE = Path(__file__).parent / "editor"
TIMEOUT = 30  # seconds for one answer; a warm server needs some ms
SETTINGS = {  # what an editor sends, without the store of public schemas: nothing is fetched
    "yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}, "schemas": {}}
}


class Unavailable(Exception):
    """The server cannot be had on this machine; the message says what is missing."""


def installed() -> Path:
    """The server's start script, installed once per lock file into the cache."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not on PATH")
    files = [HERE / name for name in ("package.json", "package-lock.json", ".npmrc")]

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise Unavailable(f"npm ci failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no message'}")

    folder = cache.root() / f"editor-{cache.key(*(file.read_bytes() for file in files))}"
    cache.build_once(folder, install)
    return folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"


class LanguageServer:
    """One running server; a context manager."""

    def __init__(self, script: Path, root: Path) -> None:
        self.root = root
        self.process = subprocess.Popen(
            ["node", str(script), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.diagnostics: dict[str, queue.Queue[list[dict[str, Any]]]] = {}
        self.sent, self.version = 0, 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
            "workspace": {"configuration": True},
        }
        self._ask("initialize", {"processId": None, "rootUri": self.root.as_uri(), "capabilities": capabilities})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("shutdown", None)
        self._tell("exit", None)
        try:
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        """Open a file (path below the root; it need not exist) with this text; what the server finds wrong with it."""
        uri = (self.root / name).as_uri()
        self.version += 1
        found: queue.Queue[list[dict[str, Any]]] = queue.Queue()
        self.diagnostics[uri] = found
        document = {"uri": uri, "languageId": "yaml", "version": self.version, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return found.get(timeout=TIMEOUT)

    def complete(self, name: str, line: int, column: int) -> dict[str, dict[str, Any]]:
        """What is offered at a place, by label."""
        answer = self._ask("textDocument/completion", self._place(name, line, column))
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: item for item in items or []}

    def hover(self, name: str, line: int, column: int) -> str:
        """What is shown for a place, as Markdown."""
        answer = self._ask("textDocument/hover", self._place(name, line, column))
        contents = (answer or {}).get("contents", "")
        return contents["value"] if isinstance(contents, dict) else str(contents)

    def _place(self, name: str, line: int, column: int) -> dict[str, Any]:
        position = {"line": line - 1, "character": column - 1}
        return {"textDocument": {"uri": (self.root / name).as_uri()}, "position": position}

    def _ask(self, method: str, params: Any) -> Any:
        self.sent += 1
        self._write({"id": self.sent, "method": method, "params": params})
        while (answer := self.answers.get(timeout=TIMEOUT))["id"] != self.sent:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _tell(self, method: str, params: Any) -> None:
        self._write({"method": method, "params": params})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream
        while header := stream.readline():
            length = int(header.split(b":")[1])
            while stream.readline().strip():
                pass
            message = json.loads(stream.read(length))
            if "method" not in message:
                self.answers.put(message)
            elif message["method"] == "textDocument/publishDiagnostics":
                if found := self.diagnostics.get(message["params"]["uri"]):
                    found.put(message["params"]["diagnostics"])
            elif message["method"] == "workspace/configuration":
                wanted = message["params"]["items"]
                self._write({"id": message["id"], "result": [SETTINGS.get(w.get("section", "")) for w in wanted]})
            elif "id" in message:
                self._write({"id": message["id"], "result": None})
