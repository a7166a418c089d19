"""Recognition of each channel by itself: one order of time, and nothing twice after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gpu.types import Audio, Complete, EngineEvent, Metadata, Segment, Span
from transcodio_site.testing import Media
from transcriptions.models import Progress, Transcription
from transcriptions.processing import pipeline
from transcriptions.processing.channels import ChannelMerger
from transcriptions.processing.tests.helpers import SpanEngine, expire, fresh
from transcriptions.processing.tests.test_channels import call, panel
from transcriptions.testing import send

PATHS = {channel: Path(f"channel-{channel}.wav") for channel in (0, 1)}


def merged(audio: Audio, stored: list[Segment], engine: SpanEngine) -> Iterator[EngineEvent]:
    known = [(segment.channel or 0, segment.start, segment.end) for segment in stored]
    return ChannelMerger(audio, PATHS, engine.stream, known).events()


def told(events: list[EngineEvent]) -> list[tuple[int | None, float, str]]:
    segments = [event for event in events if isinstance(event, Segment)]
    return [(s.channel, s.start, s.text) for s in segments]


def call_of(*spans: tuple[float, float, int], duration: float = 1000.0) -> Audio:
    return Audio(Path("stereo.wav"), duration, tuple(Span(*span) for span in sorted(spans)))


def test_segments_of_both_channels_are_in_order_of_time() -> None:
    audio = call_of((0, 4, 0), (3, 8, 1), (9, 12, 0), (50, 60, 1))
    events = list(merged(audio, [], engine := SpanEngine()))
    assert told(events) == [
        (0, 0, "channel-0 0.00."),
        (1, 3, "channel-1 3.00."),
        (0, 9, "channel-0 9.00."),
        (1, 50, "channel-1 50.00."),
    ]
    assert sum(isinstance(event, Metadata) for event in events) == 1
    assert events[-1] == Complete(pytest.approx(22), pytest.approx(0.4))  # type: ignore[arg-type]
    assert all(
        word.channel == s.channel for s in events if isinstance(s, Segment) for word in s.words
    )
    assert {call.path for call in engine.calls} == set(PATHS.values())


def test_first_segments_come_before_the_whole_recording_was_recognized() -> None:
    audio = call_of(*((10.0 * n, 10.0 * n + 9, n % 2) for n in range(60)))
    engine, events = SpanEngine(), 0
    stream = merged(audio, [], engine)
    while not isinstance(next(stream), Segment):
        events += 1
    assert engine.segments <= 4
    list(stream)
    assert len(engine.calls) < 20


def test_language_is_detected_once_for_each_channel() -> None:
    audio = call_of(*((30.0 * n, 30.0 * n + 25, n % 2) for n in range(30)))
    list(merged(audio, [], engine := SpanEngine()))
    detected = [call.path for call in engine.calls if call.language is None]
    assert sorted(detected) == sorted(PATHS.values())


SPANS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 30), st.integers(0, 1)), min_size=1, max_size=12
)


def without_overlap(spans: list[tuple[int, int, int]]) -> list[tuple[float, float, int]]:
    """Speech of one channel does not overlap."""
    free = {0: 0, 1: 0}
    kept: list[tuple[float, float, int]] = []
    for start, length, channel in sorted(spans):
        if start >= free[channel]:
            kept.append((start, start + length, channel))
            free[channel] = start + length + 1
    return kept


@pytest.mark.covers("fault", "The worker is killed while channels are recognized separately")
@given(spans=SPANS, crash=st.integers(0, 20))
@hypothesis_settings(deadline=None)
def test_nothing_is_lost_or_doubled_after_a_crash_at_any_segment(
    spans: list[tuple[int, int, int]], crash: int
) -> None:
    audio = call_of(*without_overlap(spans))
    whole = [e for e in merged(audio, [], SpanEngine()) if isinstance(e, Segment)]
    stored = whole[:crash]
    rest = [e for e in merged(audio, stored, SpanEngine()) if isinstance(e, Segment)]
    assert told([*stored, *rest]) == told([*whole])
    starts = [segment.start for segment in whole]
    assert starts == sorted(starts)


# --- The whole way ------------------------------------------------------------------------------


def uploaded(api: Client, media: Media, channels: str) -> Transcription:
    content = call(media).read_bytes()
    assert (
        send(api, "/api/transcriptions", content, "call.wav", channels=channels).status_code == 202
    )
    row = Transcription.objects.get()
    assert pipeline.preprocess(row.id)
    return fresh(row)


@pytest.mark.django_db(transaction=True)
def test_words_of_a_telephone_call_carry_their_channel(
    api: Client, media: Media, span_engine: SpanEngine
) -> None:
    row = uploaded(api, media, "separate")
    assert pipeline.transcribe(row.id)
    segments = api.get(f"/api/transcriptions/{row.id}").json()["segments"]
    channels = [segment["channel"] for segment in segments]
    assert channels == sorted(channels)  # one speaks after the other
    assert {*channels} == {0, 1}
    for segment in segments:
        assert {word["channel"] for word in segment["words"]} == {segment["channel"]}
    assert fresh(row).speech_seconds == pytest.approx(
        sum(end - start for start, end, _ in row.analysis.spans)
    )


@pytest.mark.django_db(transaction=True)
def test_call_is_mixed_unless_asked_otherwise(
    api: Client, media: Media, span_engine: SpanEngine
) -> None:
    row = uploaded(api, media, "")
    assert pipeline.transcribe(row.id)
    segments = api.get(f"/api/transcriptions/{row.id}").json()["segments"]
    assert {segment["channel"] for segment in segments} == {None}
    assert "channel" not in segments[0]["words"][0]


@pytest.mark.django_db(transaction=True)
def test_interrupted_call_is_continued(api: Client, media: Media, span_engine: SpanEngine) -> None:
    row = uploaded(api, media, "separate")
    span_engine.fails_at = len(row.analysis.spans)
    assert not pipeline.transcribe(row.id)
    expire(fresh(row))
    Progress.objects.filter(transcription=row).update(lease_until=None)
    span_engine.fails_at = 0
    assert pipeline.transcribe(row.id)
    starts = [segment.start for segment in row.segments.all()]
    assert starts == sorted({start for start, _, _ in row.analysis.spans})


@pytest.mark.django_db(transaction=True)
def test_words_of_a_panel_carry_the_number_of_their_channel(
    api: Client, media: Media, span_engine: SpanEngine
) -> None:
    content = panel(media, "panel.wav", "5.1|c2=c0|c5=c1").read_bytes()
    send(api, "/api/transcriptions", content, "panel.wav", channels="separate")
    row = Transcription.objects.get()
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    assert {segment.channel for segment in row.segments.all()} == {2, 5}
    assert {call.path.name for call in span_engine.calls} == {"channel-2.wav", "channel-5.wav"}
