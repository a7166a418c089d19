"""The types that all engines share."""

from __future__ import annotations

from pathlib import Path

from gpu.types import Audio, Complete, EngineError, Segment, Span, Word


def test_audio_after_a_position_contains_only_later_speech() -> None:
    audio = Audio(Path("a.wav"), 10, (Span(0, 2), Span(3, 5), Span(6, 9)), "en")
    assert audio.after(4) == Audio(audio.path, 10, (Span(4, 5), Span(6, 9)), "en")
    assert audio.after(5).spans == (Span(6, 9),)
    assert audio.after(9).spans == ()


def test_segment_has_the_times_and_text_of_its_words() -> None:
    segment = Segment((Word(1, 2, "Good"), Word(2.5, 3, "morning")))
    assert (segment.start, segment.end, segment.text) == (1, 3, "Good morning")


def test_real_time_factor_is_processing_time_divided_by_audio_time() -> None:
    assert Complete(audio_seconds=40, decode_seconds=10).real_time_factor == 0.25
    assert Complete(audio_seconds=0, decode_seconds=10).real_time_factor == 0


def test_error_codes_are_unique_and_messages_are_sentences() -> None:
    types: list[type[EngineError]] = [EngineError, *EngineError.__subclasses__()]
    assert len({error_type.code for error_type in types}) == len(types)
    assert all(error_type.user_message.endswith(".") for error_type in types)
