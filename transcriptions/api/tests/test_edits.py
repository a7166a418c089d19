"""Changes of a transcript over the API: segments, undo, and versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.models import State, Transcription
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


def call(api: Client, row: Transcription, path: str, body: Any = None, method: str = "post") -> Any:
    url = f"/api/transcriptions/{row.id}/{path}"
    return getattr(api, method)(url, body, content_type="application/json")


def change(first: int, last: int, *texts: str, **more: Any) -> dict[str, Any]:
    return {"from": first, "to": last, "segments": [{"text": text} for text in texts]} | more


def test_segment_is_divided_and_joined_again(api: Client, finished: Transcription) -> None:
    edit = {"changes": [change(2, 2, "Sentence", "2.", expected_texts=["Sentence 2."])]}
    body = call(api, finished, "edits", edit).json()
    assert (body["revision"], body["undo"], body["redo"]) == (1, True, False)
    (made,) = body["changes"]
    assert (made["from"], made["to"]) == (2, 2)
    assert [(each["id"], each["text"]) for each in made["segments"]] == [(2, "Sentence"), (3, "2.")]
    stored = api.get(f"/api/transcriptions/{finished.id}").json()["segments"]
    assert stored[1:3] == made["segments"]
    assert [segment["id"] for segment in stored] == [1, 2, 3, 4, 5, 6]

    body = call(api, finished, "edits/undo").json()
    assert (body["revision"], body["undo"], body["redo"]) == (2, False, True)
    assert [(c["from"], c["to"], len(c["segments"])) for c in body["changes"]] == [(2, 3, 1)]
    assert call(api, finished, "edits/redo").json()["revision"] == 3


def test_undo_sent_twice_undoes_one_change(api: Client, finished: Transcription) -> None:
    for text in ("First.", "Second."):
        call(api, finished, "edits", {"changes": [change(1, 1, text)]})
    assert call(api, finished, "edits/undo?revision=2").json()["revision"] == 3
    refused = call(api, finished, "edits/undo?revision=2")
    assert (refused.status_code, refused.json()["code"]) == (409, "edit_conflict")
    assert finished.segments.get(number=1).text == "First."
    assert call(api, finished, "edits/redo?revision=3").json()["revision"] == 4
    refused = call(api, finished, "edits/redo?revision=3")
    assert (refused.status_code, refused.json()["code"]) == (409, "edit_conflict")
    assert call(api, finished, "edits/undo?revision=-1").status_code == 422
    assert finished.segments.get(number=1).text == "Second."


def test_numbers_of_later_changes_are_those_afterwards(
    api: Client, finished: Transcription
) -> None:
    edit = {"changes": [change(1, 1, "A", "B"), change(3, 2, "C"), change(5, 5)]}
    changes = call(api, finished, "edits", edit).json()["changes"]
    assert [[segment["id"] for segment in each["segments"]] for each in changes] == [
        [1, 2],
        [4],
        [6],
    ]


def test_edit_of_an_earlier_revision_is_refused(api: Client, finished: Transcription) -> None:
    """An insertion replaces no text by which the server could notice."""
    insertion = {"changes": [change(1, 0, "First.")], "revision": 0}
    assert call(api, finished, "edits", insertion).json()["revision"] == 1
    refused = call(api, finished, "edits", insertion)
    assert (refused.status_code, refused.json()["code"]) == (409, "edit_conflict")
    # An edit that is already made is no conflict: its response was lost.
    edit = {"changes": [change(2, 2, "Once.")], "revision": 1}
    assert [call(api, finished, "edits", edit).json()["revision"] for _ in range(2)] == [2, 2]
    assert call(api, finished, "edits", insertion | {"revision": 2}).json()["revision"] == 3


def test_versions_are_listed_compared_and_restored(api: Client, finished: Transcription) -> None:
    call(api, finished, "edits", {"changes": [change(1, 1, "Sentence 1, edited.")]})
    last, first = call(api, finished, "versions", method="get").json()
    assert (last["revision"], last["edits"], last["kinds"]) == (1, 1, ["text"])
    assert (first["revision"], first["edits"]) == (0, 0)
    body = call(api, finished, "versions/0", method="get").json()
    (passage,) = body["passages"]
    assert {text["kind"] for text in passage["texts"]} >= {"removed", "added"}
    assert call(api, finished, "versions/0/restore").json()["revision"] == 2
    assert call(api, finished, "versions/0", method="get").json()["passages"] == []
    assert call(api, finished, "versions/9", method="get").status_code == 404
    assert call(api, finished, "versions/9/restore").status_code == 404


def test_refused_changes_say_why(api: Client, finished: Transcription) -> None:
    def refused(*changes: dict[str, Any]) -> tuple[int, str]:
        response = call(api, finished, "edits", {"changes": list(changes)})
        return response.status_code, response.json()["code"]

    assert refused(change(1, 1, "X", expected_texts=["Other."])) == (409, "edit_conflict")
    for first, last in ((9, 9), (7, 6), (1000, 999)):  # segment 6 would be after the last one
        assert refused(change(first, last, "X")) == (404, "not_found")
    segment = {"text": "X", "speaker": 9}
    assert refused({"from": 1, "to": 1, "segments": [segment]}) == (422, "unknown_speaker")
    for wrong in (
        [change(2, 2, "X"), change(1, 1, "Y")],
        [change(1, 2, "X"), change(2, 2, "Y")],
        [change(1, 0)],
        [change(3, 1, "X")],
        [change(1, 1, "   ")],
        [],
    ):
        assert refused(*wrong) == (422, "invalid_field")
    assert call(api, finished, "edits/undo").json()["code"] == "nothing_to_undo"
    assert call(api, finished, "edits/redo").json()["code"] == "nothing_to_undo"
    set_state(State.PREPARED)
    assert refused(change(1, 1, "X")) == (409, "not_completed")
    assert call(api, finished, "versions/0/restore").json()["code"] == "not_completed"


def test_same_edit_sent_twice_is_made_once(api: Client, finished: Transcription) -> None:
    edit = {"changes": [change(1, 1, "New.", expected_texts=["Sentence 1."])]}
    assert call(api, finished, "edits", edit).json()["revision"] == 1
    body = call(api, finished, "edits", edit).json()
    assert (body["revision"], body["changes"]) == (1, [])


def test_title_of_someone_else_is_not_replaced(api: Client, finished: Transcription) -> None:
    def rename(**body: str) -> Any:
        url = f"/api/transcriptions/{finished.id}"
        return api.patch(url, body, content_type="application/json")

    Transcription.objects.update(title="Theirs  in the harbor")
    refused = rename(title="Mine", expected_title="Talk")
    assert (refused.status_code, refused.json()["code"]) == (409, "edit_conflict")
    assert "Theirs  in the harbor" in refused.json()["detail"]
    # Pages read titles with single spaces.
    assert rename(title="Mine", expected_title="Theirs in the harbor").json()["title"] == "Mine"
    assert rename(title="Mine", expected_title="Theirs").status_code == 200  # sent twice
    assert rename(title="Without a check").json()["title"] == "Without a check"
