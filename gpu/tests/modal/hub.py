"""A Hugging Face Hub on loopback for the real client: one model, with the files of a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40


def _entry(file: Path) -> dict[str, object]:
    oid = hashlib.sha1(file.read_bytes()).hexdigest()  # noqa: S324 - as git names it
    return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": oid}


@contextmanager
def serving(folder: Path, model_id: str, *, is_gated: bool = False) -> Iterator[str]:
    """Runs the Hub; yields its URL, for HF_ENDPOINT. A gated model is only for users who have
    accepted its conditions, which nobody has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, with_body: bool) -> None:
            path = self.path.split("?")[0].strip("/")
            files = sorted(folder.iterdir())
            if is_gated:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if path == f"api/models/{model_id}/revision/main":
                names = [{"rfilename": file.name} for file in files]
                content = json.dumps({"id": model_id, "sha": COMMIT, "siblings": names}).encode()
            elif path == f"api/models/{model_id}/tree/{COMMIT}":
                content = json.dumps([_entry(file) for file in files]).encode()
            elif path.startswith(f"{model_id}/resolve/") and (folder / Path(path).name).is_file():
                content = (folder / Path(path).name).read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
