"""Search over REST and on the page: words, phrases, scripts without spaces, and its limits."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from transcriptions.editing.service import rename
from transcriptions.indexing.search import parse
from transcriptions.library import pagination
from transcriptions.models import SearchEntry, Segment, Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import MP3, ScriptedEngine, Upload

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def recording(owner: User, title: str, *texts: str, **fields: Any) -> Transcription:
    fields = {"source": "recordings/none", "source_bytes": 1, "language": "en"} | fields
    row = Transcription.objects.create(owner=owner, title=title, **fields)
    Segment.objects.bulk_create(
        Segment(transcription=row, number=number, start=number, end=number + 1, text=text)
        for number, text in enumerate(texts, 1)
    )
    return row


def titles(client: Client, query: str, **parameters: Any) -> list[str]:
    response = client.get("/api/transcriptions", {"q": query} | parameters)
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["items"]]


def versions(row: Transcription) -> dict[int, str]:
    """The transaction that wrote each entry, by the entry's number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, xmin::text FROM transcriptions_searchentry WHERE transcription_id = %s",
            [row.id],
        )
        return dict(cursor.fetchall())


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


# --- Words and phrases --------------------------------------------------------------------------


def test_search_finds_inflected_words_in_title_and_text(alice: User, api: Client) -> None:
    recording(alice, "Harbour walk", "We were walking past two ships.")
    recording(alice, "Budget", "The meetings were postponed, and the ship sailed.")
    recording(alice, "Häuser", "Die alten Häuser standen am Meer.", language="de")
    assert titles(api, "walked") == ["Harbour walk"]
    assert set(titles(api, "ships")) == {"Budget", "Harbour walk"}
    assert titles(api, "ship meeting") == ["Budget"]
    assert titles(api, "ship -meeting") == ["Harbour walk"]
    assert titles(api, '"two ships"') == ["Harbour walk"]
    assert titles(api, '"ships two"') == titles(api, "“ships two”") == []
    assert titles(api, "“two ships”") == titles(api, "„two ships“") == ["Harbour walk"]
    assert titles(api, "haus") == ["Häuser"]
    assert titles(api, "budget") == ["Budget"]


def test_words_may_be_in_different_segments_and_the_title(alice: User, api: Client) -> None:
    recording(alice, "Harbor", "Two ships left.", "The market opened.", "Fresh bread was sold.")
    recording(alice, "Market", "Fresh fish was sold.")
    assert titles(api, "ship bread harbor") == ["Harbor"]
    assert set(titles(api, "market sold")) == {"Harbor", "Market"}
    assert titles(api, 'market "fresh bread"') == ["Harbor"]
    assert titles(api, "market -bread -whale") == ["Market"]
    assert titles(api, "fish harbor") == []
    assert set(titles(api, "ship bread or fish -whale")) == {"Harbor", "Market"}
    assert titles(api, 'whale or "bread or fish" or ships') == ["Harbor"]


def test_phrase_after_20000_words_is_found(alice: User, api: Client) -> None:
    recording(alice, "Long", *["word " * 500] * 40, "At the very end a blue whale sang.")
    assert titles(api, '"blue whale"') == ["Long"]


def test_search_in_languages_without_spaces_matches_characters(alice: User, api: Client) -> None:
    recording(alice, "会議", "今日は港まで歩きました。", language="ja")
    assert titles(api, "港まで") == ["会議"]
    assert titles(api, "会") == ["会議"]
    assert titles(api, "山") == []
    recording(alice, "天気の話", "We spoke of the rain.")
    assert titles(api, "天気") == ["天気の話"]
    assert titles(api, "今日 歩き") == ["会議"]
    assert titles(api, '"港まで"') == ["会議"]
    assert titles(api, "会議 -港まで") == []
    assert titles(api, "会議 -山") == ["会議"]
    assert set(titles(api, "会議 or 天気")) == {"会議", "天気の話"}


def test_words_of_several_scripts_are_found_together(alice: User, api: Client) -> None:
    recording(alice, "讲座", "我们用Python处理数据。", language="zh")
    recording(alice, "Other", "Python", "数据", language="zh")
    assert set(titles(api, "Python 数据")) == {"讲座", "Other"}
    assert titles(api, '"python处理数据"') == titles(api, "Python处理") == ["讲座"]
    assert titles(api, "数 -处") == ["Other"]


def test_thai_is_found_by_syllables(alice: User, api: Client) -> None:
    recording(alice, "ประชุม", "วันนี้เราเดินไปที่ท่าเรือน้ำลึก", language="th")
    assert titles(api, "ท่าเรือ") == titles(api, "น้ำ") == titles(api, "ประชุม") == ["ประชุม"]
    assert titles(api, "นำ") == titles(api, "เรือท่า") == []  # another tone, another order


def test_search_for_stop_words_matches_exactly(alice: User, api: Client) -> None:
    recording(alice, "The Who, live", "Three of them.")
    recording(alice, "Hamlet", "To be, they say. And to be  or not to be?")
    recording(alice, "Budget", "Who said the whole of it? Theatre, he did.")
    recording(alice, "Wer", "Das ist the Who.", language="de")
    for query in ("the who", '"The Who"', "the who?"):
        assert set(titles(api, query)) == {"The Who, live", "Wer"}
    assert titles(api, "to be, or not to be") == ["Hamlet"]
    assert titles(api, "be not") == titles(api, "(") == titles(api, '"') == []
    assert titles(api, "he (") == ["Budget"]


def test_title_and_segments_are_found_during_transcription_and_after_failure(
    api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    rename(prepared, "Quarterly meetings")
    results: list[list[str]] = []
    engine.before[2] = lambda: results.append(titles(api, "meeting"))
    engine.before[3] = lambda: results.append(titles(api, '"sentence 2"'))
    engine.before[4] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    assert results == [["Quarterly meetings"], ["Quarterly meetings"]]
    assert titles(api, "meeting sentence") == ["Quarterly meetings"]


def test_finished_recording_is_found_by_text(api: Client, finished: Transcription) -> None:
    assert titles(api, "sentence") == ["Ten seconds"]
    assert titles(api, "paragraph") == []


def test_new_upload_is_found_by_title(api: Client, upload: Upload, tmp_path: Path) -> None:
    path = tmp_path / "Board meeting.mp3"
    path.write_bytes(MP3)
    upload(path)
    assert titles(api, "board") == ["Board meeting"]


# --- The index ----------------------------------------------------------------------------------


def test_correction_indexes_one_segment_again(api: Client, finished: Transcription) -> None:
    before = versions(finished)
    url = f"/api/transcriptions/{finished.id}"
    for path, body in (
        (f"{url}/segments/2", {"text": "A whale."}),
        (f"{url}/segments/3", {"text": finished.segments.get(number=3).text}),  # unchanged
    ):
        assert api.patch(path, json.dumps(body), "application/json").status_code == 200
    assert {number for number, xmin in versions(finished).items() if xmin != before[number]} == {2}
    assert titles(api, "whale") == ["Ten seconds"]


def test_title_is_indexed_apart_from_the_segments(finished: Transcription) -> None:
    before = versions(finished)
    rename(finished, "Blue whale")
    assert {number for number, xmin in versions(finished).items() if xmin != before[number]} == {0}


def test_changed_language_indexes_the_whole_recording_again(alice: User, api: Client) -> None:
    row = recording(alice, "Pläne", "Die alten Häuser.", language="")
    assert titles(api, "Haus") == []
    Transcription.objects.update(language="de")
    assert titles(api, "Haus Plan") == [row.title]


def test_deleted_recording_leaves_the_index(finished: Transcription) -> None:
    assert SearchEntry.objects.count() == 6
    finished.delete()
    assert not SearchEntry.objects.exists()


def test_rare_word_is_found_by_the_index(alice: User, bob: User) -> None:
    for owner in (alice, bob):
        for number in range(5):
            texts = [f"Number{n} of the harbor" for n in range(number * 100, number * 100 + 100)]
            recording(owner, "Harbor", *texts)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE transcriptions_searchentry")
    rows = Transcription.objects.filter(owner=alice)
    found = rows.filter(*parse(rows, "number250").candidates())
    plan = found.explain(analyze=True)
    # One entry: the index distinguishes those of this account from those of others.
    assert re.search(r"Bitmap Index Scan on search_keys .*actual .*rows=1(\.0+)? ", plan)
    assert "transcriptions_segment" not in plan
    assert "Seq Scan on transcriptions_searchentry" not in plan
    assert found.count() == 1


def test_existing_recordings_are_indexed_in_batches(
    alice: User, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for title in ("Harbor", "Market", "Whale"):
        recording(alice, title, "Two ships.", "Fresh bread.")
    entries = list(SearchEntry.objects.order_by("pk").values_list("pk", "vector"))
    SearchEntry.objects.filter(number__in=(0, 2)).delete()  # a run that was interrupted
    migration = importlib.import_module("transcriptions.migrations.0021_fill_search_entries")
    monkeypatch.setattr(migration, "BATCH", 2)
    (fill,) = migration.Migration.operations
    fill.code(None, None)
    assert list(SearchEntry.objects.order_by("pk").values_list("pk", "vector")) == entries
    assert titles(api, "market ship bread") == ["Market"]


def test_removed_column_is_filled_when_the_migration_is_reversed(alice: User) -> None:
    recording(alice, "Harbor", "Two ships.", "Fresh bread.")
    migration = importlib.import_module("transcriptions.migrations.0021_fill_search_entries")
    (fill,) = migration.Migration.operations
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE transcriptions_transcription ADD COLUMN search tsvector")
        try:
            fill.reverse_code(None, None)
            cursor.execute("SELECT search::text FROM transcriptions_transcription")
            assert cursor.fetchall() == [("'bread':5B 'fresh':4B 'harbor':1A 'ship':3B 'two':2B",)]
        finally:
            cursor.execute("ALTER TABLE transcriptions_transcription DROP COLUMN search")


# --- Pages and limits ---------------------------------------------------------------------------


def test_results_are_newest_first_on_pages(
    alice: User, api: Client, page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "SEARCHED_FIRST", 5)
    for number in range(25):
        text = "Ship." if number % 5 else "Ship and whale."
        recording(alice, f"Day {number}.", text, created_at=NOON + timedelta(days=number))
    assert titles(api, "ship", limit=2) == ["Day 24.", "Day 23."]  # among the five newest rows
    assert titles(api, "whale", limit=3) == ["Day 20.", "Day 15.", "Day 10."]
    cursor = api.get("/api/transcriptions", {"q": "whale", "limit": "3"}).json()["next_cursor"]
    assert titles(api, "whale", limit=3, cursor=cursor) == ["Day 5.", "Day 0."]
    first = page.get("/", {"q": "ship"}).content.decode()
    assert ("Day 5." in first, "Day 4." in first, "Page 1" in first) == (True, False, True)
    second = page.get("/", {"q": "ship", "page": "2"}).content.decode()
    assert ("Day 4." in second, "Day 5." in second, "Older" in second) == (True, False, False)
    for invalid in ("0", "-1", "x", "", "²"):
        assert "Day 24." in page.get("/", {"q": "ship", "page": invalid}).content.decode()
    assert page.get("/", {"q": "ship", "page": "9" * 30}).status_code == 200


def test_library_page_search(alice: User, page: Client) -> None:
    recording(alice, "Harbour walk", "We were walking past two ships.")
    recording(alice, "Budget", "The meetings were postponed.")
    content = page.get("/?q=ship").content.decode()
    assert "Harbour walk" in content
    assert "Budget" not in content
    empty = page.get("/", {"q": "<b>whale"}).content.decode()
    assert "No recordings match “&lt;b&gt;whale”" in empty


@pytest.mark.covers("attack", "A search for the words of another account")
@pytest.mark.parametrize("query", ["secret", "plan -whale", "secret or plan", "'1 english'"])
def test_recordings_of_others_are_not_found(
    alice: User, bob: User, api: Client, query: str
) -> None:
    recording(bob, "Secret plan", "The secret plan.")
    recording(alice, "Whale", f"{bob.id} english")
    assert "Secret plan" not in titles(api, query)


@pytest.mark.covers("attack", "A search with operators of PostgreSQL's query language")
@pytest.mark.parametrize(
    "query",
    ["ship & | !(", "ship:*", "ship <-> two", "'ship' \\", "%s ship", "-( -", "ship --", "$$;"],
)
def test_operators_in_a_query_are_ignored(alice: User, api: Client, query: str) -> None:
    recording(alice, "Walk", "Two ships.")
    assert titles(api, query) in ([], ["Walk"])


@pytest.mark.covers("fault", "A search takes longer than its time limit")
def test_slow_search_is_cancelled_with_a_message(
    alice: User, api: Client, page: Client, settings: Any
) -> None:
    recording(alice, "Walk", "Two ships.")
    settings.SEARCH_TIMEOUT = 0.1
    with locked("transcriptions_searchentry"):
        response = api.get("/api/transcriptions", {"q": "ship"})
        assert (response.status_code, response.json()["code"]) == (422, "search_too_slow")
        assert "This search takes too long" in page.get("/", {"q": "ship"}).content.decode()
        assert titles(api, "") == ["Walk"]
    settings.SEARCH_TIMEOUT = 60
    assert titles(api, "ship") == ["Walk"]


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Block queries of the table while the body runs."""
    parameters = connection.get_connection_params()
    keys = ("dbname", "user", "password", "host", "port")
    with psycopg.connect(**{key: parameters[key] for key in keys if key in parameters}) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()
