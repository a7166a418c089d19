"""The metrics of a process that serves no pages, on a port of its own."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.conf import settings

from transcodio_site.monitoring.access import REFUSAL, is_operator
from transcodio_site.monitoring.metrics import CONTENT_TYPE, of_process

log = logging.getLogger(__name__)

LOOPBACK, ALL_INTERFACES = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only with a token
READ_TIMEOUT_S = 10


class Handler(BaseHTTPRequestHandler):
    """GET /metrics, for authorized clients."""

    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer one request."""
        headers = {name.title(): value for name, value in self.headers.items()}
        if self.path != "/metrics":
            self._answer(404, b"", {})
        elif is_operator(self.client_address[0], headers):
            self._answer(200, of_process(), {"Content-Type": CONTENT_TYPE})
        else:
            self._answer(401, REFUSAL.encode(), {"WWW-Authenticate": "Bearer"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Requests of Prometheus are not logged."""


def serve_metrics(port: int) -> ThreadingHTTPServer | None:
    """Serve the metrics of this process, to other machines only if METRICS_TOKEN is set. Return
    None if the port is in use: the process has more important work."""
    host = ALL_INTERFACES if settings.METRICS_TOKEN else LOOPBACK
    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        log.warning("no metrics on port %s: %s", port, error)
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    return server
