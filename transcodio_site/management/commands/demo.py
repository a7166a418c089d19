"""`manage.py demo [FILE]`: transcribes one recording with the public API."""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transcodio_site.cli.client import error_message
from transcodio_site.demo_account import demo_account
from transcodio_site.local_requests import forwarded_headers
from transcodio_site.management.commands.up import prepare
from transcodio_site.sample import SAMPLE
from transcodio_site.supervisor import StackError, free_port, running, running_url

FORMATS = ("txt", "srt", "vtt", "json")


class Command(BaseCommand):
    help = "Transcribes a recording with the REST API, prints the text live, and exports it."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("file", nargs="?", default=str(SAMPLE), help="a recording")
        parser.add_argument("--language", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if no text is returned."""
        path = Path(options["file"]).expanduser()
        if not path.is_file():
            raise CommandError(f"There is no file {path}. Choose a recording: make demo FILE=path")
        try:
            with stack_url() as url:
                self._transcribe(url, path, options["language"])
        except StackError as error:
            raise CommandError(str(error)) from None
        except httpx.HTTPError as error:
            raise CommandError(f"The connection to Transcodio was lost: {error}") from None

    def _transcribe(self, url: str, path: Path, language: str) -> None:
        headers = {"Authorization": f"Bearer {demo_account().token}"} | forwarded_headers()
        started_at = time.monotonic()
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            transcription_id, last_event = self._follow(client, path, language)
            elapsed = time.monotonic() - started_at
            if last_event["type"] == "error":
                raise CommandError(last_event["detail"])
            if not last_event["segments"]:
                raise CommandError(last_event["note"])
            self.stdout.write("")
            for target in _export(client, transcription_id, path.stem):
                self.stdout.write(f"  {target}")
        duration = last_event["duration"]
        self.stdout.write(
            f"\n{duration:.1f} s of audio in {elapsed:.1f} s: {duration / elapsed:.1f} x real time"
        )

    def _follow(
        self, client: httpx.Client, path: Path, language: str
    ) -> tuple[str, dict[str, Any]]:
        """Upload and print each segment as it arrives; return the id and the last event."""
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as recording:
            upload = {"file": (path.name, recording, media_type)}
            with client.stream(
                "POST", "/api/transcribe/stream", files=upload, data={"language": language}
            ) as response:
                if response.status_code != 200:
                    response.read()
                    raise CommandError(error_message(response))
                for event in _events(response.iter_lines()):
                    if event["type"] == "progress":
                        segment = event["segment"]
                        times = f"[{segment['start']:7.2f} - {segment['end']:7.2f}]"
                        self.stdout.write(f"{times}  {segment['text']}")
                        self.stdout.flush()
                    elif event["type"] in ("complete", "error"):
                        return response.headers["X-Transcription-Id"], event
        raise CommandError("The stream ended before the transcript was complete.")


@contextmanager
def stack_url() -> Iterator[str]:
    """The URL of the running stack, or of one that is started and stops at the end of the block."""
    url = running_url()
    if url:
        yield url
        return
    prepare()
    with running("127.0.0.1", free_port()) as stack:
        yield stack.url


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def _export(client: httpx.Client, transcription_id: str, stem: str) -> Iterator[Path]:
    folder = Path(settings.VAR_DIR) / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for format in FORMATS:
        response = client.get(
            f"/api/transcriptions/{transcription_id}/export", params={"format": format}
        )
        response.raise_for_status()
        target = folder / f"{stem}.{format}"
        target.write_bytes(response.content)
        yield target
