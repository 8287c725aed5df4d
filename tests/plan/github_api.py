"""A GitHub API for tests of comments: real HTTP, pages, authors, and what the real one refuses."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
LONGEST = 65_536


class Api(ThreadingHTTPServer):
    """Comments of pull request 7 of acme/platform. ``calls``: method and path of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.refuse: dict[str, int] = {}  # method -> status
        self.elsewhere = ""  # an address that the first page names as its next
        self.redirect = ""  # an address that everybody is sent to

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, login: str, body: str) -> dict[str, Any]:
        """A comment of somebody."""
        comment = {"id": 1000 + len(self.comments), "user": {"login": login}, "body": body.replace("\n", "\r\n")}
        self.comments.append(comment)
        return comment


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        found = self.server.comments[(page - 1) * size : page * size]
        more = len(self.server.comments) > page * size
        path = urlsplit(self.path).path
        following = self.server.elsewhere or f"{self.server.url}{path}?per_page={size}&page={page + 1}"
        self._answer(200, found, f'<{following}>; rel="next", <{self.server.url}>; rel="last"' if more else "")

    def do_POST(self) -> None:
        body = self._body()
        self._answer(201, {"body": body} if self._refused(body) else self.server.add(BOT, body))

    def do_PATCH(self) -> None:
        body, number = self._body(), int(self.path.rpartition("/")[2])
        comment = next(c for c in self.server.comments if c["id"] == number)
        if not self._refused(body):
            comment["body"] = body.replace("\n", "\r\n")
        self._answer(200, {**comment, "body": body})

    def _refused(self, body: str = "") -> tuple[int, str] | None:
        path = r"/repos/acme/platform/issues/(7/comments|comments/\d+)"
        if self.headers["Authorization"] != "Bearer right" or not re.fullmatch(path, urlsplit(self.path).path):
            return 401, "Bad credentials"
        if code := self.server.refuse.get(self.command):
            return code, "Resource not accessible by integration"
        return (422, "body is too long (maximum is 65536 characters)") if len(body) > LONGEST else None

    def _body(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def _answer(self, status: int, document: Any, link: str = "") -> None:
        self.server.calls.append(f"{self.command} {urlsplit(self.path).path}")
        body = str(document["body"]) if isinstance(document, dict) else ""
        if refused := self._refused(body):
            status, document = refused[0], {"message": refused[1]}
        self.send_response(302 if self.server.redirect else status)
        if self.server.redirect:
            self.send_header("Location", self.server.redirect)
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""


@contextmanager
def github() -> Iterator[Api]:
    """The API for the time of the block."""
    with Api() as api:
        Thread(target=api.serve_forever, daemon=True).start()
        try:
            yield api
        finally:
            api.shutdown()
