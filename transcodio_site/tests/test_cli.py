"""`transcodio` as people type it, against the running service."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from transcodio_site.cli.client import Client, Unreachable
from transcodio_site.testing import ROOT, SAMPLE, WAIT_S, Media, Stack

Run = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, "-m", "transcodio_site.cli"]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("cli@example.com")


@pytest.fixture(scope="module")
def short(media: Media) -> Path:
    return media.speech("short.mp3", 6)


def environment(stack: Stack, token: str, **more: str) -> dict[str, str]:
    ours = {"TRANSCODIO_SERVER": stack.url, "TRANSCODIO_TOKEN": token, "PYTHONPATH": str(ROOT)}
    return os.environ | ours | more


@pytest.fixture
def run(stack: Stack, token: str, tmp_path: Path) -> Run:
    """Types a command in an empty folder."""

    def type_it(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            cwd=tmp_path,
            env=environment(stack, token, **more),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    return type_it


def test_a_recording_is_shown_live_and_put_out_as_text(run: Run, short: Path) -> None:
    done = run("transcribe", short, "-l", "en")
    assert done.returncode == 0, done.stderr
    assert "walking along the harbor" in done.stdout
    assert re.search(r"^ +0:0\d  .*walking along the harbor", done.stderr, re.MULTILINE)


def test_without_stream_there_is_the_result_alone(run: Run, short: Path) -> None:
    done = run("transcribe", "--no-stream", "--format", "srt", short)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1\n00:00:0")


def test_several_files_go_into_a_folder(run: Run, short: Path, tmp_path: Path) -> None:
    twin = tmp_path / "other" / short.name
    twin.parent.mkdir()
    twin.write_bytes(short.read_bytes())
    done = run("transcribe", short, twin, "-f", "json", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["short-2.json", "short.json"]
    for name in written:
        assert json.loads((tmp_path / "out" / name).read_text())["segments"]
    assert "short.mp3: " in done.stderr


def test_one_result_goes_into_a_file(run: Run, short: Path, tmp_path: Path) -> None:
    done = run("transcribe", short, "-o", "talk.vtt")  # which says the format
    assert done.returncode == 0
    assert (tmp_path / "talk.vtt").read_text().startswith("WEBVTT")


def test_one_bad_file_does_not_stop_the_others(run: Run, short: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary, today")
    done = run("transcribe", tmp_path / "diary.mp3", tmp_path / "none.mp3", short)
    assert done.returncode == 1
    assert "diary.mp3: This is not a recording in a format we can read." in done.stderr
    assert "none.mp3: No such file or directory" in done.stderr
    assert "walking along the harbor" in done.stdout


def test_silence_is_told_in_a_sentence(run: Run, media: Media) -> None:
    done = run("transcribe", media.silence("silence.wav", 1))
    assert done.returncode == 0
    assert "No speech was found in this recording." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "more", "status", "words"),
    [
        (["transcribe", "a.mp3", "b.mp3", "-f", "srt"], {}, 2, "with -o FOLDER"),
        (["transcribe"], {}, 2, "usage:"),
        (["list", "-n", "-1"], {}, 2, "usage:"),
        (["list", "--state", "lost"], {}, 1, "The field"),
        (["export", "00000000-0000-4000-8000-000000000000"], {}, 1, "no such transcription"),
        (["list"], {"TRANSCODIO_TOKEN": "tk_wrong"}, 3, "set TRANSCODIO_TOKEN"),
        (["list"], {"TRANSCODIO_TOKEN": ""}, 3, "set TRANSCODIO_TOKEN"),
        (["list"], {"TRANSCODIO_SERVER": "http://127.0.0.1:1"}, 4, "does not answer"),
        (["list", "--server", "nonsense"], {}, 4, "does not answer"),
        (["list", "--server", "http://[::1"], {}, 4, "does not answer"),
        (["list", "--token", "tk_é"], {}, 3, "no API token"),
        (["export", os.fsdecode(b"\xff")], {}, 1, "There is nothing at this address"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_by_the_status(
    run: Run, arguments: list[str], more: dict[str, str], status: int, words: str
) -> None:
    done = run(*arguments, **more)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_library_is_listed_and_exported(run: Run, short: Path) -> None:
    run("transcribe", short, "--no-stream")
    lines = run("list", "-q", "harbor", "--state", "completed", "-n", "1").stdout.splitlines()
    (line,) = lines
    id, state, length, uploaded, title = line.split("\t")
    assert (state, length, title) == ("completed", "0:06", "short")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", uploaded)
    assert run("export", id, "-f", "srt").stdout.startswith("1\n00:00:0")
    assert run("list", "-q", "nobody said this").stdout == ""


def test_what_cannot_be_written_is_said_before_anything_is_sent(
    run: Run, short: Path, tmp_path: Path
) -> None:
    (tmp_path / "existing.txt").write_text("mine")
    (tmp_path / "out" / "short.txt").mkdir(parents=True)
    sent = run("list", "-n", "1000").stdout
    for arguments, words in (
        (["transcribe", short, short, "-o", "existing.txt"], "existing.txt: File exists"),
        (["transcribe", short, short, "-o", "out"], "out/short.txt: Is a directory"),
        (["transcribe", short, "-o", "none/x.txt"], "none: No such file or directory"),
        (["transcribe", short, "-o", "existing.txt/x.txt"], "existing.txt: Not a directory"),
        (["export", "3f0c8a52-6a0f-4f0e-9d53-0c1f4b6c8f11", "-o", "."], "Is a directory"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert run("list", "-n", "1000").stdout == sent
    assert (tmp_path / "existing.txt").read_text() == "mine"


def test_a_name_that_is_no_text_does_not_cost_the_other_results(
    run: Run, short: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"talk \xff.mp3")
    odd.write_bytes(short.read_bytes())
    done = run("transcribe", odd, short, "--no-stream")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("walking along the harbor") == 2
    assert "talk \ufffd" in run("list", PYTHONIOENCODING="ascii").stdout


def test_a_recording_may_come_through_a_pipe(stack: Stack, token: str, short: Path) -> None:
    with subprocess.Popen(["cat", str(short)], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(
            [*PROGRAM, "transcribe", "/dev/stdin"],
            env=environment(stack, token),
            stdin=cat.stdout,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "walking along the harbor" in done.stdout


@contextmanager
def answering(*answers: str) -> Iterator[str]:
    """The address of a server that has one answer for each connection, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(f"HTTP/1.1 {answer}".replace("\n", "\r\n").encode())
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(WAIT_S)


PORTAL = "200 OK\nContent-Type: text/html\n\n<html>Sign in"
STREAM = "200 OK\nContent-Type: text/event-stream\n\n"
BUSY = "503 Busy\nContent-Length: 0\nRetry-After: "
STRANGE = "does not answer as Transcodio does"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (PORTAL, 1, STRANGE),
        ("200 OK\n\n[]", 1, STRANGE),
        ("200 OK\n\n{}", 1, STRANGE),
        ("200 OK\nContent-Encoding: gzip\n\n{}", 4, "does not answer: "),
        (f"{BUSY}Fri, 31 Dec 2999 23:59:59 GMT\n\n", 1, "The server answered 503"),
    ],
)
def test_strange_servers_are_no_reason_for_a_traceback(
    run: Run, answer: str, status: int, words: str
) -> None:
    with answering(answer) as url:
        done = run("list", "--server", url)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "rest",
    [
        [PORTAL],
        ["200 OK\nContent-Type: text/plain\n\nAll is well.\n"],
        [f"{STREAM}data: [nonsense\n\n"],
        [STREAM + 'data: {"type": "complete", "id": 1, "note": ""}\n\n', PORTAL],
    ],
)
def test_what_another_page_says_is_no_transcript(run: Run, tmp_path: Path, rest: list[str]) -> None:
    (tmp_path / "talk.mp3").touch()
    uploaded = '202 Accepted\n\n{"id": "1"}'
    with answering(f"{BUSY}-1\n\n", uploaded, *rest) as url:
        done = run("transcribe", "talk.mp3", "-o", "talk.txt", "--server", url)
    assert done.returncode == 1
    assert STRANGE in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "talk.txt").exists()


def test_signs_of_life_are_heard_while_a_recording_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cuts every connection after a while ends no long wait."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    alive, over = f"{STREAM}retry: 2000\n\n", STREAM + 'data: {"type": "complete", "id": 1}\n\n'
    with answering(*[alive] * 9, over) as url:
        events = Client(url, "tk_x").events("x")
        assert [event["type"] for event in events] == ["complete"]
    with answering(*[STREAM] * 5) as url, pytest.raises(Unreachable):
        list(Client(url, "tk_x").events("x"))


def test_it_stops_when_it_is_interrupted(stack: Stack, token: str, tmp_path: Path) -> None:
    with stack.hold():
        process = subprocess.Popen(
            [*PROGRAM, "transcribe", str(SAMPLE)],
            cwd=tmp_path,
            env=environment(stack, token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that started us in the background has told us, and ours, to ignore it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stderr is not None
        assert "0:0" in process.stderr.readline()  # the first segment
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "goes on at the server" in errors
    auth = {"Authorization": f"Bearer {token}"}
    newest = httpx.get(f"{stack.url}/api/transcriptions?limit=1", headers=auth).json()
    httpx.delete(f"{stack.url}/api/transcriptions/{newest['items'][0]['id']}", headers=auth)


# --- A network that breaks ----------------------------------------------------------------------


class BreakingProxy:
    """Passes bytes on, and cuts the first connections whose bytes hold `mark`, as soon as it is
    seen."""

    def __init__(self, target: str, mark: bytes, cuts: int) -> None:
        host, port = target.removeprefix("http://").split(":")
        self.target, self.mark, self.cuts = (host, int(port)), mark, cuts
        self.seen: list[bytes] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            there = socket.create_connection(self.target)
            for source, sink in ((client, there), (there, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.seen.append(data)
                if self.cuts and self.mark in data:
                    self.cuts -= 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.fixture
def proxied(stack: Stack) -> Iterator[Callable[[bytes, int], BreakingProxy]]:
    made: list[BreakingProxy] = []

    def make(mark: bytes, cuts: int) -> BreakingProxy:
        made.append(BreakingProxy(stack.url, mark, cuts))
        return made[-1]

    yield make
    for proxy in made:
        proxy.server.close()


def test_a_lost_connection_loses_no_words(
    run: Run, short: Path, proxied: Callable[[bytes, int], BreakingProxy]
) -> None:
    proxy = proxied(b"event: complete", 1)
    done = run("transcribe", short, TRANSCODIO_SERVER=proxy.url)
    assert done.returncode == 0, done.stderr
    assert proxy.cuts == 0
    assert any(b"last-event-id" in data.lower() for data in proxy.seen)
    shown = [line[9:] for line in done.stderr.splitlines()]
    assert " ".join(shown) == " ".join(done.stdout.split())


def test_an_upload_that_breaks_off_is_sent_again_and_makes_one_recording(
    run: Run, short: Path, tmp_path: Path, proxied: Callable[[bytes, int], BreakingProxy]
) -> None:
    only = tmp_path / "Sent twice.mp3"
    only.write_bytes(short.read_bytes())
    proxy = proxied(b"202 Accepted", 1)  # the server has it, and we do not know
    done = run("transcribe", only, TRANSCODIO_SERVER=proxy.url)
    assert done.returncode == 0, done.stderr
    assert proxy.cuts == 0
    assert len(run("list", "-q", '"sent twice"').stdout.splitlines()) == 1


# --- What it stands on --------------------------------------------------------------------------


def test_it_needs_httpx_and_rich_alone(tmp_path: Path) -> None:
    code = "import sys, transcodio_site.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"httpx", "rich"} <= loaded
    assert not loaded & {
        "django",
        "celery",
        "pydantic",
        "torch",
        "numpy",
        "modal",
        "transcriptions",
    }


def test_what_is_installed_is_the_command_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        check=True,
        timeout=WAIT_S,
    )
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        files = [name for name in wheel.namelist() if ".dist-info/" not in name]
        (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        told = wheel.read(metadata).decode()
        needs = re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", told, re.MULTILINE)
        (points,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
        assert b"transcodio = transcodio_site.cli.main:main" in wheel.read(points)
    assert needs == ["httpx", "rich"]
    assert set(files) == {
        "transcodio_site/__init__.py",
        *(f"transcodio_site/cli/{name}.py" for name in ("__init__", "__main__", "client", "main")),
    }
