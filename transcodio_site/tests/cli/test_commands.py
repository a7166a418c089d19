"""The command line against the running service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import httpx
import pytest

from transcodio_site.testing import SAMPLE, WAIT_S, Media, Stack
from transcodio_site.tests.cli.conftest import PROGRAM, Run, cli_environment
from transcriptions.processing.tests.test_channels import call
from transcriptions.processing.tests.test_tracks import film


def test_transcribe_shows_segments_live_and_prints_text(run: Run, short: Path) -> None:
    done = run("transcribe", short, "-l", "en")
    assert done.returncode == 0, done.stderr
    assert "walking along the harbor" in done.stdout
    assert re.search(r"^ +0:0\d  .*walking along the harbor", done.stderr, re.MULTILINE)


def test_no_stream_prints_only_the_result(run: Run, short: Path) -> None:
    done = run("transcribe", "--no-stream", "--format", "srt", short)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1\n00:00:0")


def test_several_files_are_written_to_a_folder(run: Run, short: Path, tmp_path: Path) -> None:
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


def test_output_extension_selects_the_format(run: Run, short: Path, tmp_path: Path) -> None:
    done = run("transcribe", short, "-o", "talk.vtt")
    assert done.returncode == 0
    assert (tmp_path / "talk.vtt").read_text().startswith("WEBVTT")


@pytest.mark.slow
def test_channels_are_recognized_separately(run: Run, media: Media) -> None:
    done = run("transcribe", call(media), "--channels", "separate", "-f", "json")
    segments = json.loads(done.stdout)["segments"]
    assert {segment["channel"] for segment in segments} == {0, 1}


@pytest.mark.slow
def test_speakers_are_told_apart(run: Run, media: Media) -> None:
    talk = media.two_voices("talk.wav")
    segments = json.loads(run("transcribe", talk, "--speakers", "-f", "json").stdout)["segments"]
    assert {segment["speaker"] for segment in segments} == {1, 2}
    done = run("transcribe", talk, "--speakers", "1", "-f", "json")
    assert [speaker["number"] for speaker in json.loads(done.stdout)["speakers"]] == [1]
    assert run("transcribe", talk, "--speakers", "none").returncode == 2


@pytest.mark.slow
def test_speakers_of_a_transcript_are_detected(run: Run, media: Media) -> None:
    run("transcribe", media.two_voices("talk.wav"))
    transcription_id = run("list", "--limit", "1").stdout.split("\t")[0]
    done = run("speakers", transcription_id)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["Speaker 1", "Speaker 2"]
    assert run("speakers", transcription_id, "--speakers", "1").stdout.startswith("Speaker 1\t0:")
    missing = run("speakers", "00000000-0000-4000-8000-000000000000")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "There is no such transcription." in missing.stderr


@pytest.mark.slow
def test_track_is_chosen(run: Run, media: Media) -> None:
    source = film(media, "two.mkv", [media.speech("six.wav", 6), media.silence("quiet.wav", 6)])
    assert "No speech was found" in run("transcribe", source, "--track", "1").stderr
    done = run("transcribe", source, "--track", "2")
    assert (done.returncode, "There is no audio track 2" in done.stderr) == (1, True)


def test_bad_file_does_not_stop_the_others(run: Run, short: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary, today")
    done = run("transcribe", tmp_path / "diary.mp3", tmp_path / "none.mp3", short)
    assert done.returncode == 1
    assert "diary.mp3: This is not a recording in a format we can read." in done.stderr
    assert "none.mp3: No such file or directory" in done.stderr
    assert "walking along the harbor" in done.stdout


def test_silence_prints_a_note(run: Run, media: Media) -> None:
    done = run("transcribe", media.silence("silence.wav", 1))
    assert done.returncode == 0
    assert "No speech was found in this recording." in done.stderr


def test_import_replaces_the_text_and_prints_counts(run: Run, short: Path, tmp_path: Path) -> None:
    exported = json.loads(run("transcribe", short, "-f", "json").stdout)
    listed = run("list", "-n", "1").stdout.split("\t")[0]
    (tmp_path / "typed.txt").write_text(exported["text"].replace("harbor", "harbour"))
    done = run("import", listed, tmp_path / "typed.txt")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ matched, 1 replaced, 0 added, 0 removed\n", done.stdout)
    assert "along the harbour" in run("export", listed).stdout
    (tmp_path / "other.txt").write_text("It was a bright cold day in April.")
    refused = run("import", listed, tmp_path / "other.txt")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Only 0% of the words" in refused.stderr
    assert run("import", "--force", listed, tmp_path / "other.txt").returncode == 0
    assert run("export", listed).stdout == "It was a bright cold day in April.\n"


@pytest.mark.parametrize(
    ("arguments", "more", "status", "words"),
    [
        (
            ["import", "00000000-0000-4000-8000-000000000000", "none.srt"],
            {},
            1,
            "none.srt: No such",
        ),
        (["transcribe", "a.mp3", "b.mp3", "-f", "srt"], {}, 2, "add -o FOLDER"),
        (["transcribe"], {}, 2, "usage:"),
        (["transcribe", "a.mp4", "--track", "second"], {}, 2, "usage:"),
        (["transcribe", "a.wav", "--channels", "left"], {}, 2, "usage:"),
        (["list", "-n", "-1"], {}, 2, "usage:"),
        (["list", "--state", "lost"], {}, 1, "The field"),
        (["export", "1", "--offset", "later"], {}, 2, "invalid float value"),
        (["export", "00000000-0000-4000-8000-000000000000"], {}, 1, "no such transcription"),
        (["list"], {"TRANSCODIO_TOKEN": "tk_wrong"}, 3, "set TRANSCODIO_TOKEN"),
        (["list"], {"TRANSCODIO_TOKEN": ""}, 3, "set TRANSCODIO_TOKEN"),
        (["list"], {"TRANSCODIO_SERVER": "http://127.0.0.1:1"}, 4, "does not respond"),
        (["list", "--server", "nonsense"], {}, 4, "does not respond"),
        (["list", "--server", "http://[::1"], {}, 4, "does not respond"),
        (["list", "--token", "tk_é"], {}, 3, "not an API token"),
        (["export", os.fsdecode(b"\xff")], {}, 1, "Page not found"),
    ],
)
def test_error_has_exit_status_and_message_without_traceback(
    run: Run, arguments: list[str], more: dict[str, str], status: int, words: str
) -> None:
    done = run(*arguments, **more)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_list_and_export(run: Run, short: Path) -> None:
    run("transcribe", short, "--no-stream")
    lines = run("list", "-q", "harbor", "--state", "completed", "-n", "1").stdout.splitlines()
    (line,) = lines
    transcription_id, state, length, uploaded, title = line.split("\t")
    assert (state, length, title) == ("completed", "0:06", "short")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", uploaded)
    assert run("export", transcription_id, "-f", "srt").stdout.startswith("1\n00:00:0")
    options = ("-f", "srt", "--offset", "60", "--profile", "bbc", "--no-speakers")
    assert run("export", transcription_id, *options).stdout.startswith("1\n00:01:0")
    assert run("export", transcription_id, "-f", "srt", "-l", "German").returncode == 0
    assert "the code of a language" in run("export", transcription_id, "-l", "klingon").stderr
    assert run("list", "-q", "nobody said this").stdout == ""


def test_unwritable_target_is_refused_before_upload(run: Run, short: Path, tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_file_name_with_invalid_utf8_is_transcribed(run: Run, short: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"talk \xff.mp3")
    odd.write_bytes(short.read_bytes())
    done = run("transcribe", odd, short, "--no-stream")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("walking along the harbor") == 2
    assert "talk \ufffd" in run("list", PYTHONIOENCODING="ascii").stdout


def test_recording_is_read_from_a_pipe(stack: Stack, token: str, short: Path) -> None:
    with subprocess.Popen(["cat", str(short)], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(
            [*PROGRAM, "transcribe", "/dev/stdin"],
            env=cli_environment(stack, token),
            stdin=cat.stdout,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "walking along the harbor" in done.stdout


@pytest.mark.slow
def test_interrupt_exits_with_status_130(stack: Stack, token: str, tmp_path: Path) -> None:
    with stack.hold():
        process = subprocess.Popen(
            [*PROGRAM, "transcribe", str(SAMPLE)],
            cwd=tmp_path,
            env=cli_environment(stack, token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs us in the background makes us, and our children, ignore SIGINT.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stderr is not None
        assert "0:0" in process.stderr.readline()  # the first segment
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "continue on the server" in errors
    auth = {"Authorization": f"Bearer {token}"}
    newest = httpx.get(f"{stack.url}/api/transcriptions?limit=1", headers=auth).json()
    httpx.delete(f"{stack.url}/api/transcriptions/{newest['items'][0]['id']}", headers=auth)
