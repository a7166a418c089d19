"""`transcodio live` against the running service."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from transcodio_site.cli import audio
from transcodio_site.cli.live_output import TerminalPrinter
from transcodio_site.testing import WAIT_S, Media, Stack, wait_until
from transcodio_site.tests.cli.conftest import PROGRAM, Run, cli_environment

SECONDS = 6
PHRASE = "walking along the harbor"
REVOKE = """
from accounts.models import ApiToken
from transcriptions.realtime.publisher import publisher
ApiToken.objects.get(user__email="revoked-cli@example.com").delete()
publisher.flush()
"""


class Relay:
    """Passes connections on to the server, until they are cut."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self.connections = 0
        self.received = 0  # bytes of clients
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        """Accept no more of them."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                self.connections += 1
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if sink.getpeername() == self._target:
                    self.received += len(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(stack: Stack) -> Iterator[Relay]:
    opened = Relay(stack.url)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.slow
def test_file_is_transcribed_at_natural_speed(run: Run, short: Path, stack: Stack) -> None:
    done = run("live", short, "-l", "en", "--title", "Walk")
    assert done.returncode == 0, done.stderr
    assert PHRASE in done.stdout
    assert f"{stack.url}/transcriptions/" in done.stderr
    newest = run("list", "--search", "Walk").stdout.splitlines()[0].split("\t")
    assert (newest[1], newest[2], newest[4]) == ("completed", "0:06", "Walk")


@pytest.mark.slow
def test_events_are_printed_as_json(run: Run, short: Path) -> None:
    done = run("live", short, "-l", "en", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["type"] == "session"
    assert events[-1]["type"] == "complete"
    text = " ".join(e["segment"]["text"] for e in events if e["type"] == "progress")
    assert PHRASE in text
    assert "received" not in {event["type"] for event in events}


@pytest.mark.slow
@pytest.mark.parametrize("options", [["-"], ["-", "--raw", "8000"]])
def test_pipe_is_transcribed(stack: Stack, token: str, media: Media, options: list[str]) -> None:
    raw = ("-f", "s16le", "-ar", "8000", "-ac", "1") if "--raw" in options else ()
    path = media.speech("pipe.raw" if raw else "pipe.mp3", SECONDS, *raw)
    with path.open("rb") as pipe:
        done = subprocess.run(
            [*PROGRAM, "live", *options, "-l", "en"],
            stdin=pipe,
            env=cli_environment(stack, token),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert PHRASE in done.stdout


@pytest.mark.slow
@pytest.mark.covers("fault", "The connection of `transcodio live` is lost while someone speaks")
def test_lost_connection_loses_no_audio(
    stack: Stack, token: str, short: Path, tmp_path: Path
) -> None:
    with relay(stack) as network:
        with subprocess.Popen(
            [*PROGRAM, "live", str(short), "-l", "en", "--json"],
            env=cli_environment(stack, token) | {"TRANSCODIO_SERVER": network.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            wait_until(lambda: network.received > 48_000)  # a second of audio
            network.cut()
            output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    assert "The connection was lost" in errors
    assert network.connections > 1
    events = [json.loads(line) for line in output.splitlines()]
    assert len({e["session"] for e in events if e["type"] == "session"}) == 1
    assert events[-1]["duration"] == pytest.approx(SECONDS, abs=0.2)
    ids = [e["id"] for e in events if e["type"] == "progress"]
    assert ids == list(range(1, len(ids) + 1))


@contextmanager
def speaking(stack: Stack, token: str, media: Media) -> Iterator[subprocess.Popen[str]]:
    """`transcodio live` with a minute of speech, after its first firm word."""
    command = [*PROGRAM, "live", str(media.speech("long.mp3", 60)), "-l", "en"]
    with subprocess.Popen(
        command,
        env=cli_environment(stack, token),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.read(1)
        yield process


@pytest.mark.slow
def test_interrupt_ends_the_session_politely(stack: Stack, token: str, media: Media) -> None:
    with speaking(stack, token, media) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    assert f"{stack.url}/transcriptions/" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_revoked_token_ends_the_session_with_a_reason(stack: Stack, media: Media) -> None:
    with speaking(stack, stack.token("revoked-cli@example.com"), media) as process:
        stack.shell(REVOKE)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3, errors
    assert "unknown, expired or revoked" in errors
    assert "TRANSCODIO_TOKEN" in errors


def test_errors_before_the_session_are_explained(run: Run, short: Path, tmp_path: Path) -> None:
    wrong = run("live", short, "--token", "tk_wrong")
    assert (wrong.returncode, "TRANSCODIO_TOKEN" in wrong.stderr) == (3, True)
    unknown = run("live", short, "-l", "klingon")
    assert (unknown.returncode, "unknown" in unknown.stderr) == (1, True)
    missing = run("live", tmp_path / "missing.wav")
    assert (missing.returncode, "No such file" in missing.stderr) == (1, True)
    away = run("live", short, "--server", "http://127.0.0.1:9")
    assert (away.returncode, "does not respond" in away.stderr) == (4, True)
    for done in (wrong, unknown, missing, away):
        assert "Traceback" not in done.stderr


def test_tentative_words_are_gray_and_rewritten_on_a_terminal() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard", width=80)
    with TerminalPrinter(console) as output:
        output.show({"type": "partial", "text": "Good morning", "tentative": "morning"})
        shown = screen.getvalue()
        output.show({"type": "progress", "segment": {"text": "Good morning."}})
    assert "Good \x1b[90mmorning\x1b[0m" in shown
    assert "\x1b[2K" in screen.getvalue()  # the line was erased
    assert screen.getvalue().count("Good morning.\n") == 1


# --- Microphones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "listed", "device", "expected"),
    [
        ("darwin", "", "", ["-f", "avfoundation", "-i", ":default"]),
        ("linux", " D  alsa\n DE pulse\n", "", ["-f", "pulse", "-i", "default"]),
        ("linux", " DE alsa\n", "hw:1", ["-f", "alsa", "-i", "hw:1"]),
        ("win32", '"Mic (USB)" (audio)\n', "", ["-f", "dshow"]),
    ],
)
def test_microphone_of_the_platform_is_used(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
    listed: str,
    device: str,
    expected: list[str],
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{listed}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(audio, "sys", SimpleNamespace(platform=platform))
    arguments = audio.command(None, device, None)
    start = arguments.index("-f")
    assert arguments[start : start + len(expected)] == expected
    if platform == "win32":
        assert "audio=Mic (USB)" in arguments


def test_ffmpeg_without_microphones_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(audio, "sys", SimpleNamespace(platform="linux"))
    with pytest.raises(audio.AudioUnavailable, match="neither PulseAudio nor ALSA"):
        audio.command(None, "", None)


async def test_failure_of_the_microphone_is_explained(tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'default: Input/output error' >&2\nexit 1\n")
    program.chmod(0o755)
    recorder = audio.Recorder([str(program)])
    with pytest.raises(audio.AudioUnavailable, match="Input/output error"):
        async with asyncio.timeout(WAIT_S):
            assert [chunk async for chunk in recorder.chunks()] == []
