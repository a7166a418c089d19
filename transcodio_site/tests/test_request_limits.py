"""Limits of what one user or address can use: pages, searches, streams and exports at the same
time."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client

from accounts import concurrency
from accounts.models import User
from accounts.tokens import issue_token
from transcriptions.models import Transcription
from transcriptions.testing import MP3

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user() -> User:
    # A unique id: the counters in Valkey outlive the database of a test.
    return User.objects.create_user(f"{uuid.uuid4()}@example.com", "x", id=uuid.uuid4().int % 2**40)


@pytest.fixture
def page(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def api(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue_token(user)[1]}"})


@pytest.fixture
def address() -> str:
    """An address that no other test uses."""
    return "2001:db8:" + ":".join(f"{uuid.uuid4().int % 2**16:x}" for _ in range(2)) + "::1"


def recording(owner: User, **fields: Any) -> Transcription:
    fields = {"title": "Talk", "source": "recordings/none", "source_bytes": 1} | fields
    return Transcription.objects.create(owner=owner, **fields)


@pytest.mark.covers("attack", "One user requests more pages than the server can render")
def test_page_over_the_limit_is_429_page(page: Client, settings: Any) -> None:
    settings.RATE_LIMIT_PAGES = "3/hour"
    assert [page.get("/").status_code for _ in range(3)] == [200] * 3
    response = page.get("/settings/tokens/")
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 3600
    assert "Too many requests (limit: 3 per 1 hour)" in response.content.decode()
    assert page.get("/api/transcriptions").status_code == 200  # has its own limit


@pytest.mark.covers("attack", "A visitor without an account floods pages and the API")
def test_anonymous_requests_are_limited_by_address(
    client: Client, settings: Any, address: str
) -> None:
    settings.RATE_LIMIT_PER_ADDRESS = "3/hour"
    neighbor = address.replace("::1", "::2")  # in the same network
    for path in ("/", "/accounts/login/", "/api/transcriptions"):
        assert client.get(path, REMOTE_ADDR=address).status_code in (200, 401)
    assert client.get("/nowhere", REMOTE_ADDR=neighbor).status_code == 429
    response = client.get("/api/transcriptions", REMOTE_ADDR=address)
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert response["Retry-After"]
    assert client.get("/health", REMOTE_ADDR=address).status_code == 200
    assert client.get("/", REMOTE_ADDR="2001:db8:ffff::1").status_code == 200


@pytest.mark.covers("attack", "One user searches many times in parallel")
def test_parallel_searches_of_a_user_are_limited(
    user: User, bob: User, page: Client, api: Client, settings: Any
) -> None:
    settings.MAX_SEARCHES_PER_USER = 2
    with ExitStack() as searches:
        for _ in range(2):
            searches.enter_context(concurrency.searches.hold(user))
        response = api.get("/api/transcriptions?q=harbor")
        assert (response.status_code, response["Retry-After"]) == (429, "2")
        assert response.json()["code"] == "too_many_parallel_requests"
        assert page.get("/?q=harbor").status_code == 429
        assert page.get("/").status_code == api.get("/api/transcriptions").status_code == 200
        page.force_login(bob)
        assert page.get("/?q=harbor").status_code == 200
    assert api.get("/api/transcriptions?q=harbor").status_code == 200


@pytest.mark.covers("attack", "Many accounts search in parallel")
def test_searches_of_all_users_leave_database_connections(
    user: User, bob: User, api: Client, settings: Any
) -> None:
    settings.MAX_SEARCHES = 1
    with concurrency.searches.hold(bob):
        assert api.get("/api/transcriptions?q=harbor").status_code == 429
        assert api.get("/api/transcriptions").status_code == 200


@pytest.mark.covers("attack", "One user exports all data many times in parallel")
def test_parallel_exports_of_a_user_are_limited(page: Client, user: User, settings: Any) -> None:
    settings.MAX_EXPORTS_PER_USER = 1
    with concurrency.exports.hold(user):
        assert page.post("/settings/data/export/").status_code == 429
    response = page.post("/settings/data/export/")
    assert response.status_code == 200
    response.close()


@pytest.mark.covers("attack", "One user opens more and more event streams")
def test_open_streams_of_a_user_are_limited(api: Client, user: User, settings: Any) -> None:
    settings.MAX_STREAMS_PER_USER = 1
    events = f"/api/transcriptions/{recording(user).id}/events"
    with concurrency.streams.hold(user):
        for response in (
            api.get(events),
            api.post("/api/transcribe", MP3, content_type="audio/mpeg"),
            api.post("/api/transcribe/stream", MP3, content_type="audio/mpeg"),
        ):
            assert response.status_code == 429
            assert response.json()["code"] == "too_many_parallel_requests"
    assert Transcription.objects.count() == 1
    response = api.get(events)
    assert response.status_code == 200
    response.close()


async def test_responses_are_counted_before_they_begin(user: User, settings: Any) -> None:
    async def chunks() -> Any:
        yield 1

    settings.MAX_EXPORTS_PER_USER = 1
    sent = concurrency.exports.hold_while_sent(user, chunks())
    with pytest.raises(concurrency.TooManyParallel):
        concurrency.exports.hold_while_sent(user, chunks())
    del sent  # the client has disconnected before
    assert concurrency.exports.in_use == 0
    assert [one async for one in concurrency.exports.hold_while_sent(user, chunks())] == [1]
    assert concurrency.exports.in_use == 0


async def test_finished_stream_is_no_longer_counted(user: User, settings: Any) -> None:
    async def chunks() -> Any:
        yield 1
        yield 2

    settings.MAX_STREAMS_PER_USER = 1
    sent = concurrency.streams.hold_while_sent(user, chunks())
    assert await anext(sent) == 1
    with pytest.raises(concurrency.TooManyParallel):
        concurrency.streams.check(user)
    await sent.aclose()  # the client has disconnected
    concurrency.streams.check(user)


@pytest.mark.covers("attack", "A search for many excluded words or characters")
@pytest.mark.parametrize("first", ["a", "字"])
def test_search_with_too_many_terms_is_refused(page: Client, api: Client, first: str) -> None:
    query = " ".join(f"-{chr(ord(first) + number)}" for number in range(21))
    response = api.get("/api/transcriptions", {"q": query})
    assert (response.status_code, response.json()["code"]) == (422, "too_many_terms")
    response = page.get("/", {"q": query})
    assert response.status_code == 200
    assert "Search for at most 20 words at a time." in response.content.decode()
    repeated = api.get("/api/transcriptions", {"q": "-字 " * 40})
    assert repeated.status_code == 200
