"""Highlights, comments and bookmarks over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.editing import annotations as adding
from transcriptions.editing.annotations import add_annotation, copy_annotations
from transcriptions.exceptions import TooManyAnnotations
from transcriptions.models import MAX_ANNOTATIONS, Annotation, Transcription
from transcriptions.testing import run_concurrently

pytestmark = pytest.mark.django_db(transaction=True)

HIGHLIGHT = {"kind": "highlight", "start": 2, "end": 3.5, "quote": "Sentence 2.", "color": "blue"}
COMMENT = {"kind": "comment", "start": 1.25, "end": 2, "quote": "Sentence 1.", "body": "Really?"}


def url(row: Transcription, annotation: Any = None) -> str:
    base = f"/api/transcriptions/{row.id}/annotations"
    return f"{base}/{annotation}" if annotation else base


def create(api: Client, row: Transcription, **fields: Any) -> Any:
    return api.post(url(row), fields, content_type="application/json")


def change(api: Client, row: Transcription, annotation: int, **fields: Any) -> Any:
    return api.patch(url(row, annotation), fields, content_type="application/json")


def test_annotations_are_listed_in_order_of_time(api: Client, finished: Transcription) -> None:
    highlight = create(api, finished, **HIGHLIGHT)
    assert highlight.status_code == 201
    comment = create(api, finished, **COMMENT).json()
    bookmark = create(api, finished, kind="bookmark", start=2.5, end=9).json()
    assert (bookmark["start"], bookmark["end"], bookmark["color"]) == (2.5, 2.5, None)
    assert comment["body"] == "Really?"
    assert api.get(url(finished)).json() == [comment, highlight.json(), bookmark]
    assert {**highlight.json(), **HIGHLIGHT} == highlight.json()


def test_annotation_is_changed_and_deleted(api: Client, finished: Transcription) -> None:
    comment = create(api, finished, **COMMENT).json()
    changed = change(api, finished, comment["id"], body=" One.\r\n\tTwo. ").json()
    assert changed["body"] == "One.\n\tTwo."
    assert changed["updated_at"] > comment["updated_at"]
    highlight = create(api, finished, **HIGHLIGHT).json()
    assert change(api, finished, highlight["id"], color="pink").json()["color"] == "pink"
    assert api.delete(url(finished, highlight["id"])).status_code == 204
    assert api.delete(url(finished, highlight["id"])).status_code == 404
    assert [each["id"] for each in api.get(url(finished)).json()] == [comment["id"]]


def test_color_of_a_highlight_is_yellow_at_first(api: Client, finished: Transcription) -> None:
    assert create(api, finished, kind="highlight", start=1, end=2).json()["color"] == "yellow"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "comment", "body": ""},
        {"kind": "comment", "body": " \n "},
        {"kind": "comment", "body": "x" * 5001},
        {"kind": "comment", "body": "\x00"},
        {"kind": "comment", "body": "\x1b[31mred"},
        {"kind": "comment", "body": "x", "color": "pink"},
        {"kind": "highlight", "color": "#ff0000"},
        {"kind": "highlight", "end": 0.5},
        {"kind": "highlight", "start": -1},
        {"kind": "highlight", "start": "1"},
        {"kind": "highlight", "start": 1e300},
        {"kind": "highlight", "quote": "x" * 5001},
        {"kind": "drawing"},
    ],
)
def test_wrong_annotation_is_refused(
    api: Client, finished: Transcription, wrong: dict[str, Any]
) -> None:
    response = create(api, finished, **{"start": 1, "end": 2} | wrong)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert not Annotation.objects.exists()


@pytest.mark.covers("attack", "A number such as NaN or Infinity as a time in JSON")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_time_that_is_no_number_is_refused(
    api: Client, finished: Transcription, number: str
) -> None:
    body = f'{{"kind": "bookmark", "start": {number}}}'
    response = api.post(url(finished), body, content_type="application/json")
    assert response.status_code in (400, 422)
    assert not Annotation.objects.exists()


def test_change_that_does_not_fit_the_kind_is_refused(api: Client, finished: Transcription) -> None:
    comment = create(api, finished, **COMMENT).json()["id"]
    for wrong in ({"body": ""}, {"color": "pink"}, {"start": 3}, {"kind": "bookmark"}):
        assert change(api, finished, comment, **wrong).status_code == 422
    assert Annotation.objects.get().body == "Really?"


@pytest.mark.covers("attack", "The id of a comment is used in the path of another recording")
def test_annotation_of_another_recording_is_404(
    api: Client, finished: Transcription, alice: Any
) -> None:
    other = Transcription.objects.create(owner=alice, title="Other", source_bytes=1)
    comment = create(api, finished, **COMMENT).json()["id"]
    assert change(api, other, comment, body="x").status_code == 404
    assert api.delete(url(other, comment)).status_code == 404
    assert Annotation.objects.get().body == "Really?"


@pytest.mark.covers(
    "attack", "More and more annotations of one transcript, several at the same time"
)
def test_number_of_annotations_is_limited(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "MAX_ANNOTATIONS", 3)

    def add() -> bool:
        try:
            return bool(add_annotation(finished, kind="bookmark", start=1, end=1))
        except TooManyAnnotations:
            return False

    assert sum(run_concurrently(*[add] * 5)) == 3
    response = create(api, finished, **COMMENT)
    assert (response.status_code, response.json()["code"]) == (409, "too_many_annotations")
    assert response.json()["detail"] == "A transcript can have 3 notes. Delete some first."


def test_annotations_are_copied_when_recognized_again(
    api: Client, finished: Transcription, alice: Any
) -> None:
    first, second = create(api, finished, **HIGHLIGHT).json(), create(api, finished, **COMMENT)
    again = Transcription.objects.create(
        owner=alice, title="Again", source_bytes=1, previous=finished
    )
    copy_annotations(again)
    kept = api.get(url(finished)).json()
    assert kept == [second.json(), first]
    copied = api.get(url(again)).json()
    assert [each | {"id": 0} for each in copied] == [each | {"id": 0} for each in kept]
    assert not {each["id"] for each in copied} & {each["id"] for each in kept}


def test_limit_holds_for_copies(finished: Transcription, alice: Any) -> None:
    again = Transcription.objects.create(owner=alice, source_bytes=1, previous=finished)
    for row, count in ((finished, MAX_ANNOTATIONS), (again, 1)):
        Annotation.objects.bulk_create(
            Annotation(transcription=row, kind="bookmark", start=n, end=n) for n in range(count)
        )
    copy_annotations(again)
    assert again.notes.count() == MAX_ANNOTATIONS
