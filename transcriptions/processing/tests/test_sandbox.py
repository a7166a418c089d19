"""The sandbox of FFmpeg: what the process may do, and that it never outlives its job."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from django.db import connection

from transcodio_site.testing import ROOT, Media, wait_until
from transcriptions import media_formats
from transcriptions.exceptions import AudioError
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, leases, pipeline, sandbox
from transcriptions.processing.media import conversion, probing, program
from transcriptions.processing.sandbox_launcher import CLONE_NEWNET, CLONE_NEWUSER
from transcriptions.processing.tests.helpers import fresh, no_check, script
from transcriptions.testing import MP3, Upload

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these limits")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def run(tmp_path: Path, lines: str, unprivileged: bool = True) -> str:
    """Run a program for `sh`, and return what it prints. Its input is the file `secret`."""
    secret = tmp_path / "secret"
    secret.write_text("what the user has uploaded\n")
    secret.chmod(0o600)
    with secret.open("rb") as source, (tmp_path / "out").open("w+b") as out:
        sandbox.run(
            [script(tmp_path / "program", lines)],
            stdin=source,
            stdout=out,
            stderr=out,
            timeout_s=60.0,
            file_size=1 << 20,
            check=no_check,
            unprivileged=unprivileged,
        )
        out.seek(0)
        return out.read().decode()


def test_environment_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for FFmpeg")
    assert "not for FFmpeg" not in run(tmp_path, "env; cat /proc/self/environ")


@ON_LINUX
@pytest.mark.covers("attack", "A recording makes FFmpeg use all memory, processor time or disk")
def test_limits_are_set_before_the_program_starts(tmp_path: Path) -> None:
    limits = run(tmp_path, "ulimit -v; ulimit -f; ulimit -n; ulimit -c; ulimit -t").split()
    kilobytes = sandbox.MEMORY_LIMIT_BYTES // 1024
    assert limits == [str(kilobytes), str((1 << 20) // 512), "64", "0", "240"]


@ON_LINUX
def test_end_of_the_program_is_awaited_without_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    assert run(tmp_path, "cat >&2; exit 3").startswith("what the user")


@ON_LINUX
def test_new_privileges_are_impossible(tmp_path: Path) -> None:
    assert "NoNewPrivs:\t1" in run(tmp_path, "cat /proc/self/status")


@ON_LINUX
@AS_ROOT
@pytest.mark.covers("attack", "A recording takes over FFmpeg, and that runs as root")
def test_root_becomes_a_user_that_can_only_use_the_given_files(tmp_path: Path) -> None:
    printed = run(tmp_path, f"id -u; id -G; cat; cat {tmp_path}/secret; echo end")
    user, groups, content, refusal, end = printed.splitlines()
    assert int(user) >= 60_000
    assert groups == user
    assert content == "what the user has uploaded"
    assert "Permission denied" in refusal
    assert end == "end"


def has_own_network() -> bool:
    """Whether the kernel lets a process of this user leave the network."""
    code = f"import ctypes; exit(ctypes.CDLL(None).unshare({CLONE_NEWUSER | CLONE_NEWNET}))"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@ON_LINUX
@pytest.mark.covers("attack", "A recording takes over FFmpeg, and that connects to the network")
def test_program_has_no_network(tmp_path: Path) -> None:
    if not has_own_network():
        pytest.skip("the kernel does not allow network namespaces")
    interfaces = run(tmp_path, "cat /proc/self/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        python = Path(sys.executable).resolve()
        printed = run(tmp_path, f'{python} -I -S -c "{code}" || echo refused', unprivileged=False)
        assert "refused" in printed
        assert "Connection refused" in printed or "unreachable" in printed


# --- FFmpeg in it -------------------------------------------------------------------------------


def test_ffmpeg_gets_allow_lists_before_its_input(
    replace_ffmpeg: Callable[[str], None], tmp_path: Path
) -> None:
    replace_ffmpeg('echo "arguments: $*" >&2')
    source = tmp_path / "upload"
    source.write_bytes(MP3)
    reports = [probing._probe_report(source)[0]]
    with pytest.raises(AudioError):
        conversion.prepare(source, tmp_path, no_check)
    reports.append((tmp_path / "ffmpeg.log").read_text())
    for report in reports:
        options, _, output = report.partition("-i fd:")
        assert "-protocol_whitelist fd " in options
        assert f"-format_whitelist {media_formats.DEMUXERS} " in options
        assert "file:" not in output


def test_ffmpeg_without_the_fd_protocol_reads_the_file_by_its_path(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "has_fd_protocol", lambda binary: False)
    source = media.speech("old.m4a", 2)
    assert probing.probe(source).has_audio
    audio = conversion.prepare(source, tmp_path, no_check)
    assert audio.duration == pytest.approx(2, abs=0.1)


def test_crash_of_ffmpeg_is_the_fault_of_the_file(
    replace_ffmpeg: Callable[[str], None], tmp_path: Path
) -> None:
    replace_ffmpeg("kill -SEGV $$")
    (tmp_path / "upload").write_bytes(MP3)
    with pytest.raises(AudioError, match="damaged and cannot be decoded"):
        conversion.prepare(tmp_path / "upload", tmp_path, no_check)


# --- Its end ------------------------------------------------------------------------------------


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


PARENT = """
import sys
from pathlib import Path
from transcriptions.processing import sandbox
with open("/dev/null", "r+b") as null:
    sandbox.run([sys.argv[1]], stdin=null, stdout=null, stderr=null, timeout_s=600,
                file_size=1 << 20, check=lambda: None, unprivileged=False)
"""


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.covers("fault", "The worker is killed while FFmpeg converts a recording")
def test_program_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    program = script(tmp_path / "program", f"echo $$ > {pid_file}; exec tail -f /dev/null")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, program], cwd=ROOT)
    pid = pid_in(pid_file)
    parent.send_signal(number)
    parent.wait()
    wait_until(lambda: has_ended(pid))


@ON_LINUX
def test_program_does_not_start_after_the_end_of_its_parent(tmp_path: Path) -> None:
    program = script(tmp_path / "program", f"echo started > {tmp_path}/started")
    command = [sys.executable, "-I", "-S", str(sandbox.LAUNCHER), "1", "same", "", program]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "started").exists()


@pytest.fixture
def running(
    upload: Upload, media: Media, replace_ffmpeg: Callable[[str], None]
) -> Iterator[tuple[Transcription, int, threading.Thread]]:
    """A recording whose conversion never ends by itself, the process, and the worker's thread."""
    row = upload(media.silence("any.wav", 1))
    replace_ffmpeg("exec tail -f /dev/null")

    def preprocess() -> None:
        pipeline.preprocess(row.id)
        connection.close()

    thread = threading.Thread(target=preprocess)
    thread.start()
    try:
        yield row, converting_process(), thread
    finally:
        leases.shutting_down.set()
        thread.join()
        leases.shutting_down.clear()


def converting_process() -> int:
    found: list[int] = []

    def find() -> bool:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has ended
                if child.name() == "tail":
                    found.append(child.pid)
        return bool(found)

    wait_until(find)
    return found[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [commands.cancel, lambda row: row.delete()])
@pytest.mark.covers("fault", "A recording is cancelled or deleted while FFmpeg converts it")
def test_conversion_stops_when_its_recording_is_cancelled_or_deleted(
    running: tuple[Transcription, int, threading.Thread], end: Callable[[Transcription], None]
) -> None:
    row, pid, thread = running
    end(fresh(row))
    thread.join()  # its own timeout is 26 minutes
    assert has_ended(pid)


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("fault", "The worker is stopped while FFmpeg converts a recording")
def test_conversion_stops_when_the_worker_shuts_down(
    running: tuple[Transcription, int, threading.Thread],
) -> None:
    row, pid, thread = running
    leases.shutting_down.set()
    thread.join()
    assert has_ended(pid)
    assert fresh(row).state in (State.QUEUED, State.PREPROCESSING)  # continued by the next worker


def test_interval_between_checks_is_short() -> None:
    assert sandbox.CHECK_INTERVAL_S + leases.CHECK_INTERVAL_S < 1.0
