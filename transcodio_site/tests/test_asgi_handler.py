"""Bodies in files: their disk space, and disks that are full."""

from __future__ import annotations

import json
import os
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from accounts.models import User
from accounts.tokens import issue_token
from transcodio_site.asgi import application
from transcodio_site.asgi_handler import BODY, ShrinkingReader
from transcodio_site.testing import largest_file

MEGABYTE = 1 << 20
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    b"%s\r\n--x--\r\n"
)


def blocks(file: Any) -> int:
    """The disk space of a file in bytes."""
    return os.fstat(file.fileno()).st_blocks * 512


def test_body_frees_its_disk_space_while_it_is_read() -> None:
    with tempfile.TemporaryFile() as file:
        content = os.urandom(8 * MEGABYTE)
        file.write(content)
        file.seek(0)
        reader = ShrinkingReader(file)
        read = b"".join(iter(lambda: reader.read(64 * 1024), b""))
        assert read == content
        if blocks(file) >= 8 * MEGABYTE:
            pytest.skip("the file system of temporary files cannot deallocate a part of a file")
        assert blocks(file) <= 2 * MEGABYTE


def post(path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a body that is already stored to the ASGI application."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        BODY: body,
    }

    async def exchange() -> tuple[int, bytes]:
        client = ApplicationCommunicator(application, scope)
        await client.send_input({"type": "http.request"})
        start = await client.receive_output(60)
        response = await client.receive_output(60)
        await client.wait(60)
        return start["status"], response["body"]

    return async_to_sync(exchange)()


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    """The folder of temporary files."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    return tmp_path


@pytest.mark.covers("fault", "The disk becomes full while a form is parsed")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["form", "recording as the body", "OpenAI form"])
def test_full_disk_while_the_body_is_parsed_is_507(alice: User, folder: Path, kind: str) -> None:
    path = "/v1/audio/transcriptions" if kind == "OpenAI form" else "/api/transcriptions"
    content = bytes(2 * MEGABYTE)
    headers = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {issue_token(alice)[1]}",
        "content-type": "multipart/form-data; boundary=x",
    }
    if kind == "recording as the body":
        headers["content-type"] = "audio/wav"
    else:
        content = FORM % content
    with tempfile.TemporaryFile() as stored:
        stored.write(content)
        with largest_file(MEGABYTE):
            status, body = post(path, stored, headers)
        assert stored.closed
    response = json.loads(body)
    assert status == 507
    assert response.get("error", response)["code"] == "disk_full"
    assert not list(folder.iterdir())


@pytest.mark.covers("attack", "A malformed form with a large file")
@pytest.mark.django_db(transaction=True)
def test_malformed_form_leaves_no_file(alice: User, folder: Path) -> None:
    headers = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {issue_token(alice)[1]}",
        "content-type": "multipart/form-data; boundary=x",
    }
    encoded = FORM.replace(b"\r\n\r\n%s", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s")
    with tempfile.TemporaryFile() as stored:
        stored.write(encoded % (b"QUJD" * MEGABYTE + b"QUJ"))
        status, body = post("/api/transcriptions", stored, headers)
    assert (status, json.loads(body)["code"]) == (400, "bad_form")
    assert not list(folder.iterdir())


@pytest.mark.django_db
def test_full_disk_in_a_form_of_a_page_is_507() -> None:
    client = Client(raise_request_exception=False)
    with largest_file(MEGABYTE):
        response = client.post("/accounts/login/", {"file": BytesIO(bytes(2 * MEGABYTE - 5000))})
    assert response.status_code == 507
