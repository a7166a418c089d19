"""A collector of spans and error reports on loopback, for tests."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Receives spans over OTLP/HTTP, and the envelopes of Sentry."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.reports: list[str] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.receive(self.path, decompress(body, self.headers["Content-Encoding"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop receiving."""
        self.server.shutdown()
        self.server.server_close()

    def receive(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        else:
            self.reports.append(body.decode())

    def trace_of(self, request_id: str) -> list[Any]:
        """The spans of the trace with this request."""
        ids = {s.trace_id for s in self.spans if attributes(s).get("request_id") == request_id}
        return [span for span in self.spans if span.trace_id in ids]


def decompress(body: bytes, encoding: str | None) -> bytes:
    if encoding == "br":  # by Sentry, if the package is installed
        import brotli

        return bytes(brotli.decompress(body))
    return gzip.decompress(body) if encoding == "gzip" else body


def attributes(span: Any) -> dict[str, str]:
    return {item.key: item.value.string_value for item in span.attributes}
