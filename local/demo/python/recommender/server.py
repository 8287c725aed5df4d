"""The HTTP side: `GET /?customer=7` recommends, `GET /healthz` says that it is up."""

import json
import logging
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from recommender.load import generate_load
from recommender.model import Model

PORT = 8080
log = logging.getLogger("recommender")


class Handler(BaseHTTPRequestHandler):
    """One request; the model is set on the class when the server starts."""

    model: Model

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/healthz":
            self._answer(200, "text/plain", b"ok\n")
        elif url.path == "/":
            customer = parse_qs(url.query).get("customer", ["0"])[0]
            if customer.isdecimal():
                recommended = [
                    {"product": product, "score": score} for product, score in self.model.recommend(int(customer))
                ]
                self._answer(200, "application/json", json.dumps({"products": recommended}).encode())
            else:
                self._answer(400, "text/plain", b"customer must be a number\n")
        else:
            self._answer(404, "text/plain", b"not found\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def serve() -> None:
    """Serve until SIGTERM or SIGINT; requests that are being answered are finished first."""
    Handler.model = Model()
    server = ThreadingHTTPServer(("", PORT), Handler)
    server.daemon_threads = False
    stopping = threading.Event()

    def stop(number: int, _frame: object) -> None:
        log.info("recommender is stopping (%s)", signal.Signals(number).name)
        stopping.set()
        # shutdown() waits for serve_forever(), which this very thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=generate_load, args=(Handler.model, stopping), name="load").start()
    log.info("recommender is listening on %d", PORT)
    with server:
        server.serve_forever()
