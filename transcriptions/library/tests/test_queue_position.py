"""The place in the queue, over REST and on the pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.models import Priority, State, Transcription
from transcriptions.processing.scheduling import claim_next
from transcriptions.testing import MP3, Headers, queue_many, send, set_state

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"


def position(client: Client, transcription_id: str) -> int | None:
    found: int | None = client.get(f"{URL}/{transcription_id}").json()["queue_position"]
    return found


def test_position_counts_the_recordings_of_all_accounts_that_go_first(
    alice: User, bob: User, api: Client, token_of: Headers
) -> None:
    queue_many(bob, 3)
    assert claim_next(State.TRANSCRIBING)
    first, second, third = (send(api, URL, MP3, "a.mp3").json() for _ in range(3))
    # Bob's first recording has been claimed, so Alice's first one is next, and then one of Bob's.
    assert [row["queue_position"] for row in (first, second, third)] == [1, 2, 4]
    claimed = claim_next(State.PREPROCESSING)
    assert claimed
    assert str(claimed.id) == first["id"]
    assert position(api, first["id"]) is None
    assert position(api, second["id"]) == 1
    assert position(api, third["id"]) == 3


def test_batch_waits_behind_everything_interactive(bob: User, api: Client) -> None:
    queue_many(bob, 10)
    batch = send(api, URL, MP3, "a.mp3", priority="batch").json()
    interactive = send(api, URL, MP3, "a.mp3", priority="interactive").json()
    assert (batch["priority"], batch["queue_position"]) == ("batch", 11)
    assert (interactive["priority"], interactive["queue_position"]) == ("interactive", 1)
    assert position(api, batch["id"]) == 12
    raw = api.post(f"{URL}?priority=batch", MP3, content_type="audio/mpeg").json()
    assert (raw["priority"], raw["queue_position"]) == ("batch", 13)
    response = send(api, URL, MP3, "a.mp3", priority="urgent")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")


def test_list_has_the_same_positions_with_one_query_for_each_priority(
    alice: User, bob: User, api: Client, django_assert_num_queries: Any
) -> None:
    queue_many(bob, 30)
    queue_many(bob, 20, priority=Priority.BATCH)
    for number in range(12):
        send(api, URL, MP3, "a.mp3", priority="batch" if number % 3 == 0 else "interactive")
    set_state(State.COMPLETED, Transcription.objects.filter(id=listed(api)[0]["id"]))
    with django_assert_num_queries(4):  # the token, the page, and two priorities
        rows = listed(api)
    assert [row["queue_position"] for row in rows] == [position(api, row["id"]) for row in rows]
    assert rows[0]["queue_position"] is None
    assert len({row["queue_position"] for row in rows}) == 12


def listed(api: Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(URL).json()["items"]
    return items


def test_pages_show_how_many_recordings_go_first(
    alice: User, bob: User, browser: Client, prepared: Transcription
) -> None:
    recording = f"/transcriptions/{prepared.id}/"
    urls = ["/", recording, f"{recording}queue/", f"/transcriptions/rows/?id={prepared.id}"]

    def pages() -> list[str]:
        return [browser.get(url).content.decode() for url in urls]

    assert all("Next in the queue" in page for page in pages())
    queue_many(bob, 1300)
    for start, text in [
        (1, "1 recording ahead of this one"),
        (2, "2 recordings ahead of this one"),
        (1250, "1,250 recordings ahead of this one"),
    ]:
        Transcription.objects.filter(id=prepared.id).update(virtual_start=start)
        assert all(text in page for page in pages())
    assert all('hx-trigger="every 2s"' in page for page in pages())
    set_state(State.TRANSCRIBING, Transcription.objects.filter(id=prepared.id))
    assert not any("ahead of this one" in page for page in pages())
    assert pages()[2].strip() == ""  # htmx removes the element, which ends the polling
