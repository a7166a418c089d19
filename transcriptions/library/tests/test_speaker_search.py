"""Search for what a speaker says, over REST and on the page."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from transcriptions.editing.speakers import Part, assign, merge_speakers, name_speaker
from transcriptions.indexing.search import limited_time, parse
from transcriptions.library.tests.test_search import titles
from transcriptions.models import Segment, Speaker, State, Transcription

pytestmark = pytest.mark.django_db(transaction=True)


def talk(owner: User, title: str, names: str, *texts: str, **fields: Any) -> Transcription:
    """A recording in which the people in `names` take turns saying the texts."""
    fields = {"source_bytes": 1, "language": "en", "state": State.COMPLETED} | fields
    now = timezone.now()
    row = Transcription.objects.create(owner=owner, title=title, completed_at=now, **fields)
    people = names.split(",")
    for number, name in enumerate(people, 1):
        Speaker.objects.create(transcription=row, number=number, name=name)
    for number, text in enumerate(texts, 1):
        start, speaker = number - 1.0, (number - 1) % len(people) + 1
        words = [{"start": start, "end": number, "text": text, "speaker": speaker}]
        Segment.objects.create(
            transcription=row,
            number=number,
            start=start,
            end=number,
            text=text,
            words=words,
            speaker=speaker,
        )
    return row


@pytest.fixture
def talks(alice: User) -> None:
    """Two talks of Anna, in one of which Ben talks about ships."""
    talk(alice, "Harbor", "Anna Smith,Ben", "The market opened.", "Two ships left.")
    talk(alice, "Budget", "Ánna Brown,Łukasz", "A ship is expensive.", "We have no money.")
    talk(alice, "Walk", "", "Anna walked to the market.")


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("speaker:anna", {"Harbor", "Budget"}),
        ("SPEAKER: ANNA", {"Harbor", "Budget"}),
        ('speaker:"Anna Smith"', {"Harbor"}),
        ('speaker:"smith anna"', set()),
        ("speaker:ann", set()),
        ("speaker:lukasz", {"Budget"}),
        ("speaker:ŁUKÁSZ", {"Budget"}),
        ("speaker:anna ships", {"Budget"}),
        ("speaker:anna ship market", set()),
        ("speaker:anna speaker:ben ships", {"Harbor"}),
        ("speaker:anna speaker:ben", {"Harbor"}),
        ("speaker:anna -speaker:ben", {"Budget"}),
        ("speaker:anna -money", {"Harbor"}),
        ("-speaker:anna", {"Walk"}),
        ("speaker:ben ships or money", {"Harbor", "Budget"}),
        ("speaker:ben or speaker:lukasz", {"Harbor", "Budget"}),
        ("speaker:ben market", set()),
        ("speaker:anna harbor", set()),  # a title is not spoken
        ('speaker:ben "two ships"', {"Harbor"}),
        ("speaker:anna the", {"Harbor"}),  # a stop word is searched if it is the only word
        ("speaker:?", set()),
        ("speaker:", set()),
    ],
)
def test_search_finds_what_somebody_says(api: Client, query: str, expected: set[str]) -> None:
    assert set(titles(api, query)) == expected


def test_search_follows_changes_of_the_speakers(alice: User, api: Client) -> None:
    row = talk(alice, "Harbor", ",Ben,", "The market opened.", "Two ships left.", "Good night.")
    assert titles(api, "speaker:anna") == []
    name_speaker(row, 1, "Anna")
    assert titles(api, "speaker:anna market") == ["Harbor"]
    assert titles(api, "speaker:anna ships") == []
    assign(row, [Part(2)], 1)
    assert titles(api, "speaker:anna ships") == ["Harbor"]
    assert titles(api, "speaker:ben") == []  # no words are left
    merge_speakers(row, 1, 3)
    assert titles(api, "speaker:anna night") == ["Harbor"]
    name_speaker(row, 3, "")
    assert titles(api, "speaker:anna") == []


def test_words_in_a_sentence_of_somebody_else_are_found(alice: User, api: Client) -> None:
    row = talk(alice, "Harbor", "Anna,Ben", "Two ships left. Really?")
    assert titles(api, "speaker:ben") == []
    segment = row.segments.get()
    segment.words = [
        {"start": 0.0, "end": 0.9, "text": "Two ships left.", "speaker": 1},
        {"start": 0.9, "end": 1.0, "text": "Really?", "speaker": 2},
    ]
    segment.save()
    assert titles(api, "speaker:ben really") == titles(api, "speaker:anna ship") == ["Harbor"]


def test_names_in_other_scripts_are_found(alice: User, api: Client) -> None:
    talk(alice, "会議", "田中さん,Ελένη", "今日は港まで歩きました。", "Καλημέρα.", language="ja")
    for query in ("speaker:田中", "speaker:ελενη", "speaker:田中 港"):
        assert titles(api, query) == ["会議"]
    assert titles(api, "speaker:ελενη 港") == titles(api, "speaker:中田") == []


@pytest.mark.covers("attack", "A search for a speaker in recordings of another account")
def test_speakers_of_others_are_not_found(alice: User, bob: User, api: Client) -> None:
    talk(bob, "Secret", "Anna", "The plan.")
    talk(alice, "Plan", "Ben", "The plan.")
    for query in ("speaker:anna", "speaker:anna plan", "-speaker:ben", "speaker:anna or secret"):
        assert titles(api, query) == []


@pytest.mark.usefixtures("talks")
@pytest.mark.covers("attack", "A search for a name with operators of the query language")
@pytest.mark.parametrize("name", ["anna:*", "anna|ben", "'", "\\", "%s", "anna&!ben", "$$;--"])
def test_operators_in_a_name_are_ignored(api: Client, name: str) -> None:
    assert set(titles(api, f"speaker:{name}")) <= {"Harbor", "Budget"}


def test_names_count_as_terms(api: Client) -> None:
    query = " ".join(f"n{number} speaker:n{number}" for number in range(11))
    response = api.get("/api/transcriptions", {"q": query})
    assert (response.status_code, response.json()["code"]) == (422, "too_many_terms")


@pytest.mark.usefixtures("talks")
def test_page_of_the_library_finds_speakers(browser: Client) -> None:
    html = browser.get("/", {"q": 'speaker:"anna smith"'}).content.decode()
    assert ("Harbor" in html, "Budget" in html) == (True, False)


@pytest.mark.usefixtures("talks")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("speaker:anna", {"Harbor": ("Anna Smith", 1), "Budget": ("Ánna Brown", 1)}),
        ("ships", {"Harbor": ("Ben", 2), "Budget": ("Ánna Brown", 1)}),
        ("speaker:lukasz money", {"Budget": ("Łukasz", 2)}),
        ("market walked", {"Walk": ("Speaker 1", 1)}),
        ("harbor", {"Harbor": None}),  # only the title
        ("-ship -harbor", {"Walk": None}),
    ],
)
def test_passage_and_its_speaker_are_shown(
    api: Client, query: str, expected: dict[str, tuple[str, int] | None]
) -> None:
    items = api.get("/api/transcriptions", {"q": query}).json()["items"]
    found = {item["title"]: item["passage"] for item in items}
    assert {t: p and (p["speaker"], p["segment"]) for t, p in found.items()} == expected


def test_passage_is_that_with_most_of_the_words(alice: User, api: Client) -> None:
    talk(alice, "Talk", "Anna", "The ship.", "A market.", "A ship in the market.", "Ship, market.")
    talk(alice, "Talk", "", "A ship")
    Segment.objects.filter(text="A ship").update(speaker=None, words=[])
    (item,) = api.get("/api/transcriptions", {"q": "ship market"}).json()["items"]
    assert item["passage"] == {
        "segment": 3,
        "start": 2.0,
        "text": "A ship in the market.",
        "speaker": "Anna",
    }
    passages = [each["passage"] for each in api.get("/api/transcriptions").json()["items"]]
    assert passages == [None, None]
    found = api.get("/api/transcriptions", {"q": "ship"}).json()["items"]
    assert [each["passage"]["speaker"] for each in found] == [None, "Anna"]


def test_passage_names_who_says_a_part_of_it(alice: User, api: Client) -> None:
    row = talk(alice, "Talk", "Anna,Ben", "One.", "Two.")
    word = {"start": 0, "end": 0.1, "text": "Yes.", "speaker": 2}
    segment = row.segments.get(number=1)
    Segment.objects.filter(id=segment.id).update(words=[word, *segment.words])
    (item,) = api.get("/api/transcriptions", {"q": "speaker:ben"}).json()["items"]
    assert (item["passage"]["segment"], item["passage"]["speaker"]) == (1, "Ben")


@pytest.mark.usefixtures("talks")
def test_page_of_the_library_shows_the_speaker_of_a_passage(browser: Client) -> None:
    html = browser.get("/", {"q": "ships"}).content.decode()
    assert "<b>Ben</b>" in html
    passage = '<found-passage data-query="ships">Two ships left.</found-passage>'
    assert f"<q>{passage}</q>" in html
    assert "recording-passage" not in browser.get("/").content.decode()


def test_queries_do_not_depend_on_the_number_of_recordings(alice: User, api: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            titles(api, "speaker:anna market or speaker:ben -speaker:anna")
        return len(queries)

    talk(alice, "One", "Anna,Ben", "The market.", "Yes.")
    count()  # the first request with a token causes more queries
    first = count()
    for number in range(5):
        talk(alice, f"Talk {number}", "Anna,Ben", "The market.", "Yes.")
    assert count() == first


def test_plan_reads_only_speakers_of_the_own_recordings(alice: User, bob: User) -> None:
    for owner, count in ((alice, 10), (bob, 100)):
        for number in range(count):
            talk(owner, "Talk", f"Anna{number},Ben", *["The market opened."] * 4)
    with connection.cursor() as cursor:
        for table in ("speaker", "segment", "searchentry", "transcription"):
            cursor.execute(f"VACUUM ANALYZE transcriptions_{table}")
    rows = Transcription.objects.filter(owner=alice)
    for query in ("speaker:anna7", "speaker:anna7 market", "market -speaker:anna7"):
        parsed = parse(rows, query)
        for conditions in (parsed.candidates(), parsed.conditions()):
            with limited_time():
                plan = rows.filter(reduce(or_, conditions)).explain(analyze=True)
            by_recording = r" on transcriptions_speaker .*\n.* Cond: \(transcription_id = "
            assert plan.count("on transcriptions_speaker ") == len(re.findall(by_recording, plan))
            assert max(map(int, re.findall(r"Removed by Filter: (\d+)", plan)), default=0) <= 40
