"""Recognizing a recording again: a new one, with the edits of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tokens import issue_token
from gpu.types import Segment, Word
from transcriptions import testing
from transcriptions.editing.log import undo
from transcriptions.editing.service import correct
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, lifecycle, pipeline
from transcriptions.testing import (
    ScriptedEngine,
    assign_plan,
    charged_ms,
    prepare_again,
    set_state,
    stored_files,
    texts,
    use_minutes,
)

pytestmark = pytest.mark.django_db(transaction=True)


def post(
    client: Client, row: Transcription, body: dict[str, Any] | None = None, **more: Any
) -> Any:
    url = f"/api/transcriptions/{row.id}/recognize"
    return client.post(url, body or {}, content_type="application/json", **more)


def again(client: Client, row: Transcription, **body: Any) -> Transcription:
    """The new recording, ready for the engine."""
    created = Transcription.objects.get(id=post(client, row, body).json()["id"])
    prepare_again(created)
    return created


def say(monkeypatch: pytest.MonkeyPatch, **words: str) -> None:
    """Let the engine recognize other sentences: `s2="..."` in second 2."""
    usual = testing.spoken

    def spoken(number: int) -> Segment:
        text = words.get(f"s{number}")
        if text is None:
            return usual(number)
        parts = text.split()
        share = 0.9 / len(parts)
        start = number - 1.0
        return Segment(
            tuple(
                Word(round(start + n * share, 3), round(start + (n + 1) * share, 3), part)
                for n, part in enumerate(parts)
            )
        )

    monkeypatch.setattr(testing, "spoken", spoken)


def test_edits_are_carried_over(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(finished, 2, "My sentence.")
    correct(finished, 4, "Mine too.")
    say(monkeypatch, s1="First sentence.", s4="Fourth sentence.")
    created = again(api, finished)
    assert pipeline.transcribe(created.id)
    created.refresh_from_db()
    assert texts(created) == [
        *("First sentence.", "My sentence.", "Sentence 3.", "Mine too.", "Sentence 5."),
    ]
    body = api.get(f"/api/transcriptions/{created.id}").json()
    conflicts = [segment["conflict"] for segment in body["segments"]]
    assert conflicts == [None, None, None, "Fourth sentence.", None]
    assert "In 1 segment the recognized text has changed" in body["note"]
    assert texts(finished)[0] == "Sentence 1."
    assert created.segments.get(number=4).start == 3.0
    assert charged_ms(created.owner) == 20_000  # both recordings, ten seconds each


def test_conflict_is_resolved_by_choosing_a_text(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(finished, 4, "Mine too.")
    say(monkeypatch, s4="Fourth sentence.")
    created = again(api, finished)
    assert pipeline.transcribe(created.id)
    for text in ("Mine too.", "Fourth sentence."):
        created.segments.filter(number=4).update(conflict="Fourth sentence.")
        resolved = correct(created, 4, text)
        assert (resolved.text, resolved.conflict) == (text, "")


def test_edits_are_carried_over_twice(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(finished, 2, "My sentence.")
    second = again(api, finished)
    assert pipeline.transcribe(second.id)
    second.refresh_from_db()
    assert second.title == "Ten seconds, recognized again"
    third = again(api, second)
    assert pipeline.transcribe(third.id)
    third.refresh_from_db()
    assert texts(third) == texts(second)
    assert third.title == second.title
    (recognized,) = third.segments.get(number=2).recognized or []
    assert recognized["text"] == "Sentence 2."


def test_edits_made_before_it_is_resumed_are_kept(
    api: Client, finished: Transcription, engine: ScriptedEngine
) -> None:
    correct(finished, 2, "My sentence.")
    created = again(api, finished)
    engine.before[3] = lambda: commands.cancel(created)
    assert not pipeline.transcribe(created.id)
    engine.before.clear()
    correct(created, 1, "Corrected before it is resumed.")
    before = texts(created)
    created.refresh_from_db()
    commands.retry(created)
    prepare_again(created)
    assert pipeline.transcribe(created.id)
    created.refresh_from_db()
    assert texts(created)[: len(before)] == before
    assert "edited, too" in created.note
    undo(created)
    assert texts(created)[0] == "Sentence 1."


def test_limit_of_a_token_holds_for_repetitions(alice: User, finished: Transcription) -> None:
    token, secret = issue_token(alice, monthly_minutes=5)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    created = again(client, finished)
    assert created.token == token
    use_minutes(alice, 5, token)
    refused = post(client, finished)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")


def test_without_edits_nothing_is_merged(api: Client, finished: Transcription) -> None:
    created = again(api, finished)
    assert pipeline.transcribe(created.id)
    created.refresh_from_db()
    assert (texts(created), created.note) == (texts(finished), "")


def test_quite_another_text_gets_no_edits(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(finished, 2, "My sentence.")
    say(monkeypatch, s1="Eins", s2="Zwei", s3="Drei", s4="Vier", s5="Fünf")
    created = again(api, finished)
    assert pipeline.transcribe(created.id)
    created.refresh_from_db()
    assert texts(created) == ["Eins", "Zwei", "Drei", "Vier", "Fünf"]
    assert "not carried over" in created.note


@pytest.mark.covers("fault", "Recognizing a recording again fails or is cancelled")
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_first_transcript_survives_a_failed_second_one(
    api: Client, finished: Transcription, engine: ScriptedEngine, is_cancelled: bool
) -> None:
    correct(finished, 2, "My sentence.")
    before = (texts(finished), stored_state(finished))
    created = again(api, finished)
    if is_cancelled:
        commands.cancel(created)
    else:
        claimed = lifecycle.claim(created.id, State.TRANSCRIBING)
        assert claimed
        lifecycle.mark_failed(claimed, "code", "message")
    assert (texts(finished), stored_state(finished)) == before
    created.refresh_from_db()
    commands.retry(created)
    prepare_again(created)
    assert pipeline.transcribe(created.id)
    assert texts(created)[1] == "My sentence."


def stored_state(row: Transcription) -> str:
    return str(Transcription.objects.get(id=row.id).state)


@pytest.mark.covers("fault", "The first transcript is deleted while it is recognized again")
def test_deleted_first_transcript_leaves_the_second(api: Client, finished: Transcription) -> None:
    created = again(api, finished)
    finished.delete()
    assert pipeline.transcribe(created.id)
    assert len(texts(created)) == 5


def test_options_are_as_before_unless_given(
    api: Client, alice: User, finished: Transcription
) -> None:
    Transcription.objects.update(requested_language="en", stored_options={"prompt": "Names"})
    alice.vocabulary = ["Ada Lovelace"]
    alice.save()
    first = again(api, finished)
    assert (first.requested_language, first.options.prompt) == ("en", "Names")
    assert first.options.keywords == ("Ada Lovelace",)
    second = again(
        api, finished, language="German", prompt="", keywords=["Kant"], channels="separate"
    )
    assert (second.requested_language, second.options.prompt) == ("de", "")
    assert (second.options.keywords, second.options.channels) == (("Kant",), "separate")
    assert Path(second.source.path).read_bytes() == Path(finished.source.path).read_bytes()


def test_same_idempotency_key_recognizes_once(
    api: Client, finished: Transcription, settings: Any
) -> None:
    header: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "once"}
    first, second = (post(api, finished, **header) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert first["Location"] == f"/api/transcriptions/{first.json()['id']}"
    assert Transcription.objects.count() == 2
    other = post(api, finished, {"language": "de"}, **header)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("fields", "body", "status", "code"),
    [
        ({}, {"language": "klingon"}, 422, "unknown_language"),
        ({}, {"track": 7}, 422, "unknown_track"),
        ({}, {"track": False}, 422, "invalid_field"),
        ({}, {"owner": 1}, 422, "invalid_field"),
        ({"source": ""}, {}, 409, "audio_deleted"),
    ],
)
def test_refusals(
    api: Client,
    finished: Transcription,
    settings: Any,
    fields: dict[str, Any],
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    Transcription.objects.update(**fields)
    files = stored_files(settings)
    response = post(api, finished, body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert Transcription.objects.count() == 1
    assert stored_files(settings) == files


def test_only_a_completed_recording_is_recognized_again(
    api: Client, finished: Transcription
) -> None:
    set_state(State.CANCELLED)
    response = post(api, finished)
    assert (response.status_code, response.json()["code"]) == (409, "not_completed")


def test_no_minutes_left_is_429(api: Client, alice: User, finished: Transcription) -> None:
    assign_plan(alice, monthly_minutes=0)
    assert post(api, finished).status_code == 429
