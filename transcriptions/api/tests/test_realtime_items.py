"""The events of Realtime sessions that follow from those of a live session."""

from __future__ import annotations

from typing import Any

import pytest

from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.realtime.items import TRANSCRIPTION, Conversation, Items, Json
from transcriptions.api.openai.realtime.settings import Session, initial_settings
from transcriptions.schemas.events import Event, PartialEvent, ProgressEvent, TurnEvent
from transcriptions.schemas.transcripts import SegmentOut, WordOut


def segment(
    number: int, text: str, language: str | None = None, probability: float | None = None
) -> ProgressEvent:
    words = [
        WordOut(start=0.0, end=1.0, text=word, probability=probability) for word in text.split()
    ]
    out = SegmentOut.model_construct(
        id=number, start=0.0, end=1.0, text=text, language=language, words=words
    )
    return ProgressEvent.model_construct(id=number, segment=out)


def partial(text: str, tentative: str = "") -> PartialEvent:
    return PartialEvent(id=0, text=text, tentative=tentative)


def started(time: float) -> TurnEvent:
    return TurnEvent(id=0, state="started", time=time)


def ended(time: float, commit: int | None = None) -> TurnEvent:
    return TurnEvent(id=0, state="ended", time=time, commit=commit)


def follow(items: Items, *events: Event) -> list[Json]:
    return [sent for event in events for sent in items.follow(event)]


def of_type(sent: list[Json], name: str) -> list[Json]:
    return [event for event in sent if event["type"].endswith(name)]


def deltas(sent: list[Json]) -> list[str]:
    return [event["delta"] for event in of_type(sent, "delta")]


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


@pytest.fixture
def turns(conversation: Conversation) -> Items:
    """The server ends turns."""
    return Items(conversation, padding_ms=300)


@pytest.fixture
def manual(conversation: Conversation) -> Items:
    """Only the client ends turns."""
    return Items(conversation, padding_ms=None)


def test_firm_words_are_sent_once_and_make_up_the_transcript(turns: Items) -> None:
    sent = follow(
        turns,
        started(1.0),
        partial("Good morning", "morning"),
        partial("Good morning I am", "I am"),
        partial("Good morning I am", "am"),
        partial("Good", "Good"),  # an old one
        segment(1, "Good morning I am walking."),
        partial("The sun", "sun"),
        segment(2, "The sun shines."),
        ended(4.0),
    )
    assert deltas(sent) == ["Good", " morning", " I", " am walking.", " The", " sun shines."]
    (completed,) = of_type(sent, "completed")
    assert completed["transcript"] == "".join(deltas(sent))
    assert completed["usage"] == {"type": "duration", "seconds": 3.3}


def test_texts_of_scripts_without_spaces_are_joined_without_them(turns: Items) -> None:
    sent = follow(turns, started(0.1), segment(1, "你好。"), segment(2, "世界。"), ended(2.0))
    assert of_type(sent, "completed")[0]["transcript"] == "你好。世界。"


def test_turns_become_items_in_order(turns: Items) -> None:
    sent = follow(turns, started(0.1), segment(1, "One.", "de"), ended(1.0))
    sent += follow(turns, started(1.2), segment(2, "Two."), ended(2.0))
    first, second = of_type(sent, "buffer.committed")
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item_id"])
    assert [e["audio_start_ms"] for e in of_type(sent, "started")] == [0, 1000]  # not earlier
    assert [e["audio_end_ms"] for e in of_type(sent, "stopped")] == [1000, 2000]
    assert [e["transcript"] for e in of_type(sent, "completed")] == ["One.", "Two."]
    assert of_type(sent, "completed")[0]["languages"] == [{"code": "de"}]


def test_lost_end_of_a_turn_is_made_up_for_by_the_next_one(turns: Items) -> None:
    sent = follow(turns, started(0.5), segment(1, "One."), started(2.0), segment(2, "Two."))
    (completed,) = of_type(sent, "completed")
    assert completed["transcript"] == "One."
    assert [e["transcript"] for e in of_type(list(turns.finish(3000)), "completed")] == ["Two."]


@pytest.mark.parametrize(
    ("include", "probability", "expected"),
    [
        (["item.input_audio_transcription.logprobs"], 0.5, [("Good", -0.6931), ("day.", -0.6931)]),
        (["item.input_audio_transcription.logprobs"], None, None),  # the engine knows none
        (None, 0.5, None),
    ],
)
def test_log_probabilities_are_sent_if_they_are_wanted_and_known(
    conversation: Conversation, include: Any, probability: float | None, expected: Any
) -> None:
    conversation.has_logprobs = Session(include=include).has_logprobs
    items = Items(conversation, padding_ms=300)
    sent = follow(items, started(1.0), segment(1, "Good day.", None, probability), ended(2.0))
    (completed,) = of_type(sent, "completed")
    found = completed.get("logprobs")
    assert (found and [(each["token"], each["logprob"]) for each in found]) == expected


def test_words_belong_to_the_commit_that_they_come_before(manual: Items) -> None:
    sent = [*manual.commit(1000), *manual.commit(2500)]
    sent += follow(manual, started(0.2), segment(1, "One."), ended(1.0, 1))
    sent += follow(manual, started(1.2), segment(2, "Two."), ended(2.5, 2))
    sent += follow(manual, started(2.6), segment(3, "Three."))
    first, second = of_type(sent, "completed")
    assert (first["transcript"], second["transcript"]) == ("One.", "Two.")
    assert second["usage"]["seconds"] == 1.5
    assert [e["item_id"] for e in of_type(sent, "buffer.committed")] == [
        first["item_id"],
        second["item_id"],
    ]
    assert not of_type(sent, "speech_started")
    (third,) = of_type(list(manual.finish(3000)), "completed")
    assert (third["transcript"], third["usage"]["seconds"]) == ("Three.", 0.5)


def test_lost_end_of_a_commit_is_made_up_for_by_the_next_one(manual: Items) -> None:
    sent = [*manual.commit(1000), *manual.commit(2000)]
    sent += follow(manual, segment(1, "One."), ended(2.0, 2))
    assert [e["transcript"] for e in of_type(sent, "completed")] == ["One.", ""]


def test_commit_ends_a_turn_that_silence_would_end_later(turns: Items) -> None:
    sent = follow(turns, started(0.5), segment(1, "One."))
    sent += turns.commit(1000)
    sent += follow(turns, ended(0.8), started(0.9), segment(2, "Two."), ended(1.0, 1))
    (completed,) = of_type(sent, "completed")
    assert completed["transcript"] == "One. Two."
    assert turns.uncommitted_ms(1400) == 400


def test_nothing_is_sent_of_cleared_audio(turns: Items) -> None:
    sent = follow(turns, started(0.5), segment(1, "One."))
    sent += turns.clear(1000)
    sent += follow(turns, segment(2, "Two."), ended(1.0, 1), started(1.1), segment(3, "Three."))
    sent += turns.finish(2000)
    assert deltas(sent) == ["One.", "Three."]
    assert [e["transcript"] for e in of_type(sent, "completed")] == ["Three."]
    assert len(of_type(sent, "buffer.committed")) == 1


def test_failure_names_the_items_that_stay_incomplete(manual: Items) -> None:
    committed, *_ = manual.commit(1000)
    (failed,) = manual.fail({"message": "Out of memory"})
    assert failed["type"] == f"{TRANSCRIPTION}.failed"
    assert failed["item_id"] == committed["item_id"]


# --- Settings -----------------------------------------------------------------------------------


def with_input(**given: Any) -> dict[str, Any]:
    return {"type": "transcription", "audio": {"input": given}}


def test_settings_that_are_left_out_keep_their_values() -> None:
    session = Session().updated(
        with_input(transcription={"language": "de"}, turn_detection={"silence_duration_ms": 700})
    )
    changed = session.updated(with_input(transcription={"prompt": "Ada"}, noise_reduction=None))
    assert changed.params.language == "de"
    assert (changed.params.prompt, changed.params.turn_silence) == ("Ada", 0.7)
    detected = changed.updated(with_input(transcription={"language": None}, format=None))
    assert (detected.params.language, detected.params.sample_rate) == ("", 24_000)


@pytest.mark.parametrize(
    ("turn_detection", "silence"),
    [
        (None, None),
        ({"type": "server_vad"}, 0.5),
        ({"type": "server_vad", "silence_duration_ms": 0}, 0.2),
        ({"type": "server_vad", "silence_duration_ms": 60_000}, 10),
        ({"type": "semantic_vad"}, 0.8),
        ({"type": "semantic_vad", "eagerness": "high"}, 0.4),
    ],
)
def test_turn_detection_is_the_silence_that_ends_a_turn(
    turn_detection: Any, silence: float | None
) -> None:
    session = Session().updated(with_input(turn_detection=turn_detection))
    assert session.params.turn_silence == silence


def test_models_without_turn_detection_leave_it_to_the_client() -> None:
    assert initial_settings("gpt-realtime-whisper").params.turn_silence is None
    session = Session().updated(with_input(transcription={"model": "gpt-live-transcribe"}))
    assert session.params.turn_silence is None
    wanted = with_input(
        transcription={"model": "gpt-live-transcribe"}, turn_detection={"type": "server_vad"}
    )
    assert Session().updated(wanted).params.turn_silence == 0.5


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (with_input(format={"type": "audio/opus"}), "session.audio.input.format"),
        (with_input(format={"rate": 1}), "session.audio.input.format.rate"),
        (with_input(turn_detection={"type": "x"}), "session.audio.input.turn_detection"),
        (
            with_input(turn_detection={"threshold": 2}),
            "session.audio.input.turn_detection.threshold",
        ),
        (
            with_input(transcription={"keywords": ["x" * 101]}),
            "session.audio.input.transcription.keywords",
        ),
        ({"audio": []}, "session.audio"),
        ([], "session"),
    ],
)
def test_invalid_settings_are_named(given: Any, param: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        Session().updated(given)
    assert error.value.param == param


def test_unlisted_models_are_refused_if_the_server_is_strict(settings: Any) -> None:
    settings.OPENAI_STRICT_MODELS = True
    assert initial_settings("gpt-4o-transcribe").params
    with pytest.raises(InvalidParameter) as error:
        initial_settings("gpt-5")
    assert error.value.status == 404
