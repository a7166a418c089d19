"""Proposals over the API to split a speaker."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.api.tests.test_speakers import call, speakers, talk
from transcriptions.models import SplitProposal, State, Transcription
from transcriptions.processing import split_proposals
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["talk"]  # the fixture


def ask(api: Client, row: Transcription, number: int = 2) -> Any:
    return call(api, row, "post", f"speakers/{number}/split/proposal", {})


def read(api: Client, row: Transcription, number: int = 2) -> Any:
    return api.get(f"/api/transcriptions/{row.id}/speakers/{number}/split/proposal")


def found(row: Transcription, *segments: int, is_clear: bool = True) -> None:
    """Store the result as the worker does."""
    SplitProposal.objects.update(segments=list(segments), is_clear=is_clear)


def test_proposal_is_asked_for_read_and_applied(api: Client, talk: Transcription) -> None:
    waiting: dict[str, Any] = {
        "state": "waiting",
        "error": None,
        "revision": 0,
        "clear": None,
        "voices": [],
    }
    response = ask(api, talk)
    assert (response.status_code, response.json()) == (202, waiting)
    assert read(api, talk).json() == waiting
    found(talk, 4)
    body = read(api, talk).json()
    assert (body["state"], body["clear"]) == ("ready", True)
    kept, new = body["voices"]
    assert (kept["segments"], kept["seconds"]) == ([3, 5], 1.8)
    example = {"segment": 4, "start": 3.0, "end": 3.9, "text": "Sentence 4."}
    assert new == {"segments": [4], "seconds": 0.9, "examples": [example]}
    split = {"segments": new["segments"], "revision": body["revision"]}
    assert call(api, talk, "post", "speakers/2/split", split).status_code == 200
    assert speakers(talk) == [1, 1, 2, 3, 2]
    again = call(api, talk, "post", "speakers/2/split", split)
    assert (again.status_code, again.json()["code"]) == (409, "edit_conflict")
    assert read(api, talk).status_code == 404
    assert call(api, talk, "post", "edits/undo", {}).status_code == 200
    assert speakers(talk) == [1, 1, 2, 2, 2]


def test_examples_are_the_longest_segments(api: Client, talk: Transcription) -> None:
    ask(api, talk, 1)
    for number in range(6, 11):
        word = {"start": number, "end": number + number / 10, "text": f"{number}", "speaker": 1}
        talk.segments.create(number=number, start=number, end=12, text="x", words=[word])
    found(talk, 1)
    kept = read(api, talk, 1).json()["voices"][0]
    assert kept["segments"] == [2, 6, 7, 8, 9, 10]
    assert [each["segment"] for each in kept["examples"]] == [2, 9, 10]


def test_failure_says_why(api: Client, talk: Transcription) -> None:
    ask(api, talk)
    SplitProposal.objects.update(error="The voices could not be compared.")
    body = read(api, talk).json()
    assert (body["state"], body["error"]) == ("failed", "The voices could not be compared.")


def test_what_cannot_be_compared_is_refused(
    api: Client, talk: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(api, talk, 3).status_code == 404
    assert read(api, talk).status_code == 404
    with monkeypatch.context() as patch:
        patch.setattr(split_proposals, "MAX_WAITING", 0)
        assert (ask(api, talk).status_code, ask(api, talk).json()["code"]) == (
            409,
            "too_many_proposals",
        )
    Transcription.objects.update(source="")
    assert (ask(api, talk).status_code, ask(api, talk).json()["code"]) == (409, "audio_deleted")
    set_state(State.TRANSCRIBING)
    assert ask(api, talk).json()["code"] == "not_completed"
