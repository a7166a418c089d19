"""Which long recordings have an opening, and what it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from gpu.types import Span
from transcodio_site.testing import Media
from transcriptions.models import Options, Transcription
from transcriptions.processing import pipeline, preparation
from transcriptions.processing.media import duration, mixing, program
from transcriptions.processing.media.conversion import PreparedAudio, Selection, prepare
from transcriptions.processing.preparation import Preparation, prepare_recording
from transcriptions.processing.tests.helpers import SpanEngine, expire, fresh, no_check
from transcriptions.processing.tests.test_tracks import film
from transcriptions.testing import Upload, charged_ms

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files", "short_opening"),
]

LIVE = ("-live", "1")  # without a duration
LATE = ("-af", "adelay=25s")


def opening_of(source: Path, folder: Path, **options: Any) -> Preparation:
    return prepare_recording(source, folder, Options(**options), no_check, opening_first=True)


def test_short_recording_is_converted_once(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = program.run, list[list[str]]()

    def noted(command: list[str], *arguments: Any) -> int:
        calls.append(command)
        return run(command, *arguments)

    monkeypatch.setattr(program, "run", noted)
    found = opening_of(media.speech("short.mp3", 10), tmp_path)
    assert (len(calls), found.is_opening, max(found.waveform.peaks)) == (1, False, 255)


@pytest.mark.parametrize(
    ("name", "options", "has_opening"),
    [
        ("talk.mp3", ("-write_xing", "0", "-b:a", "64k"), True),  # the duration is an estimate
        ("talk.wav", (), True),
        ("talk.m4a", (), True),
        ("talk.aac", (), True),
        ("live.webm", LIVE, True),  # as a browser records: the duration is unknown
        ("piped.flac", ("-seekable", "0"), True),
        ("late.flac", LATE, True),  # a longer opening has speech
        ("later.flac", ("-af", "adelay=35s"), False),
    ],
)
def test_opening_depends_on_speech(
    media: Media, tmp_path: Path, name: str, options: tuple[str, ...], has_opening: bool
) -> None:
    source = media.speech(name, None, *options)
    found = opening_of(source, tmp_path)
    assert found.is_opening == has_opening
    assert found.spans
    seconds = {"late.flac": 69, "later.flac": 79}.get(name, 44)
    assert found.audio.duration == pytest.approx(seconds, abs=1.5)


def test_recording_that_takes_long_to_read_is_prepared_as_a_whole(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "READING_TIMEOUT_S", 0.0)
    assert not opening_of(media.speech("live.webm", None, *LIVE), tmp_path).is_opening


def test_opening_ends_before_the_duration_of_the_recording(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times in the file start again at zero, so that they tell 40 s instead of 80."""
    monkeypatch.setattr(preparation, "OPENINGS_S", (24.0, 60.0))
    quiet = media.speech("quiet.webm", 40, "-af", "volume=0", *LIVE)
    late = media.speech("late.webm", 40, "-af", "adelay=10s", *LIVE)
    found = opening_of(media.bytes("twice.webm", quiet.read_bytes() + late.read_bytes()), tmp_path)
    assert not found.is_opening
    assert found.audio.duration == pytest.approx(80, abs=1)
    assert found.spans[0].start > 45


QUIET, SPOKEN = "quiet.wav", "spoken.wav"


@pytest.mark.parametrize(
    ("sounds", "default", "options", "track", "has_opening"),
    [
        ((SPOKEN, SPOKEN), 0, {}, 0, True),
        ((SPOKEN, SPOKEN), 1, {}, 1, True),
        ((QUIET, SPOKEN), 1, {}, 1, True),
        ((QUIET, SPOKEN), 0, {}, 1, False),  # the first one may have speech later
        ((QUIET, SPOKEN), 0, {"track": 1}, 1, True),
    ],
)
def test_opening_is_of_the_track_that_the_whole_recording_would_be_of(
    media: Media,
    tmp_path: Path,
    sounds: tuple[str, str],
    default: int,
    options: dict[str, Any],
    track: int,
    has_opening: bool,
) -> None:
    files = {QUIET: media.silence(QUIET, 44), SPOKEN: media.speech(SPOKEN)}
    flags = [
        part for n in (0, 1) for part in (f"-disposition:a:{n}", "default" * (n == default) or "0")
    ]
    source = film(media, f"two-{default}.mkv", [files[name] for name in sounds], *flags)
    found = opening_of(source, tmp_path, **options)
    assert (found.track, found.is_opening) == (track, has_opening)
    assert prepare_recording(source, tmp_path, Options(**options), no_check).track == track


@pytest.mark.parametrize(
    ("pan", "channels"),
    [
        ("mono|c0=c0", ()),
        ("stereo|c0=c0|c1=c0", ()),
        ("stereo|c0=c0", (0,)),
    ],
)
def test_all_of_the_recording_tells_which_channels_differ(
    media: Media, tmp_path: Path, pan: str, channels: tuple[int, ...]
) -> None:
    source = media.speech("panned.wav", None, "-af", f"pan={pan}")
    found = opening_of(source, tmp_path, channels="separate")
    assert (found.is_opening, found.audio.channels) == (True, channels)
    assert {span.channel for span in found.spans} == {*channels} or {None}
    assert found.audio.duration == pytest.approx(43.9, abs=0.1)
    assert found.audio.path.stat().st_size == pytest.approx(
        24 * 48_000 * (1 + (channels != ())), rel=0.01
    )


def conversation(media: Media, end: int = 44) -> Path:
    """A telephone call: the second person speaks from 6 to 10 s, and from 30 to 34 s. From the
    second `end` on, both channels have the sound of the first."""
    speech = media.speech("one.wav")
    turn = f"between(t,6,10)+between(t,30,34)*lt(t,{end})"
    left = f"volume=0:enable='{turn}'"
    right = f"volume=0:enable='not({turn})*lt(t,{end})'"
    graph = f"asplit[a][b];[a]{left}[left];[b]{right}[right];[left][right]join=inputs=2"
    return media.make(f"call-{end}.wav", "-i", str(speech), "-filter_complex", graph)


@pytest.mark.parametrize(
    ("end", "is_certain", "channels"),
    [(44, True, (0, 1)), (22, True, (0, 1)), (12, False, (0, 1)), (0, False, ())],
)
def test_channels_that_differ_in_the_beginning_are_known_at_once(
    media: Media,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: int,
    is_certain: bool,
    channels: tuple[int, ...],
) -> None:
    monkeypatch.setattr(mixing, "BEGINNING_S", 20.0)
    monkeypatch.setattr(mixing, "BLOCK_FRAMES", 240_000)
    source, converted = conversation(media, end), list[float | None]()

    def noted(source: Path, folder: Path, check: Any, selection: Selection) -> PreparedAudio:
        converted.append(selection.seconds)
        return prepare(source, folder, check, selection)

    monkeypatch.setattr(preparation, "prepare", noted)
    found = opening_of(source, tmp_path, channels="separate")
    assert converted == ([24] if is_certain else [24, None])
    assert (found.is_opening, found.audio.channels) == (True, channels)
    whole = prepare_recording(source, tmp_path, Options(channels="separate"), no_check)
    assert whole.audio.channels == channels
    assert found.spans == whole.spans[: len(found.spans)]


SPEECH = [Span(0, 5, 0), Span(4, 9, 1), Span(10, 12, 0), Span(11, 20, 1), Span(15, 22, 0)]


@pytest.mark.parametrize(("end", "count"), [(4.5, 0), (9.5, 2), (21.0, 2), (23.0, 5)])
def test_opening_of_channels_ends_where_nobody_speaks(end: float, count: int) -> None:
    known = [span for span in SPEECH if span.start < end]
    assert preparation.before_silence(known, end) == SPEECH[:count]


# --- The whole way --------------------------------------------------------------------------------


def starts(row: Transcription) -> list[float]:
    return [segment.start for segment in row.segments.all()]


def two_tracks(media: Media) -> Path:
    """The first one is the default."""
    return film(media, "two.mkv", [media.speech("one.wav"), media.speech("two.wav", None, *LATE)])


def late_answer(media: Media) -> Path:
    """A telephone call: the second person begins to speak after the opening."""
    one, two = media.speech("one.wav", 30), media.speech("two.wav", 14)
    padded = "[0]apad=whole_dur=44[early];[1]adelay=28s,apad=whole_dur=44[late]"
    graph = f"{padded};[early][late]join=inputs=2"
    return media.make("call.wav", "-i", str(one), "-i", str(two), "-filter_complex", graph)


@pytest.mark.slow
@pytest.mark.covers(
    "fault",
    "The worker is lost after the opening of a file without a duration, or with several tracks",
)
@pytest.mark.parametrize(
    "make",
    [
        lambda media: media.speech("live.webm", None, *LIVE),
        lambda media: media.speech("late.flac", None, *LATE),
        two_tracks,
        late_answer,
        conversation,
    ],
    ids=["unknown duration", "silent beginning", "two tracks", "late answer", "conversation"],
)
def test_unusual_recording_has_the_transcript_and_usage_of_the_whole(
    upload: Upload,
    media: Media,
    tmp_path: Path,
    alice: User,
    span_engine: SpanEngine,
    make: Callable[[Media], Path],
) -> None:
    source, options = make(media), Options(channels="separate")
    whole = prepare_recording(source, tmp_path, options, no_check)
    row = upload(source)
    row.stored_options = options.as_json()
    row.save(update_fields=["stored_options"])
    assert pipeline.preprocess(row.id)
    assert fresh(row).analysis.is_opening
    span_engine.fails_at = 2
    assert not pipeline.transcribe(row.id)
    expire(row)
    assert pipeline.transcribe(row.id)
    assert starts(row) == [span.start for span in whole.spans]
    assert [each.channel for each in row.segments.all()] == [span.channel for span in whole.spans]
    assert fresh(row).tracks == whole.tracks
    assert charged_ms(alice) == round(1000 * whole.audio.duration)
