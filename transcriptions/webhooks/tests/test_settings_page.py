"""Endpoints and their log on the settings page, which are their owner's alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts.audit import Action, AuditEvent
from accounts.models import User
from transcriptions.webhooks.models import Delivery, Endpoint, EventType

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/settings/webhooks/"
NEW = {"url": "https://example.com/hooks", "events": ["transcription.completed"]}


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def endpoint(alice: User) -> Endpoint:
    return Endpoint.objects.create(owner=alice, url="https://example.com/hooks")


def secrets_in(answer: Any) -> list[str]:
    return re.findall(r"whsec_[\w+/]{43}=", answer.content.decode())


def test_an_endpoint_is_added_and_its_secret_shown_once(alice: User, browser: Client) -> None:
    assert browser.post(PAGE, NEW)["Location"] == PAGE
    row = Endpoint.objects.get()
    assert (row.owner, row.url, row.events) == (alice, NEW["url"], NEW["events"])
    answer = browser.get(PAGE)
    assert secrets_in(answer) == [row.secret]
    assert "no-store" in answer["Cache-Control"]
    assert secrets_in(browser.get(PAGE)) == []


def test_a_new_secret_is_shown_once(browser: Client, endpoint: Endpoint) -> None:
    assert browser.post(f"{PAGE}{endpoint.id}/rotate/")["Location"] == PAGE
    new = Endpoint.objects.get().secret
    assert new != endpoint.secret
    assert secrets_in(browser.get(PAGE)) == [new]
    assert secrets_in(browser.get(PAGE)) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user:secret@example.com/", "Leave name and password out"),
        ("https://example.com:99999/", "no such port"),
    ],
)
def test_an_address_that_cannot_be_posted_to_is_refused(
    browser: Client, url: str, words: str
) -> None:
    answer = browser.post(PAGE, NEW | {"url": url})
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_all_that_is_done_to_a_webhook_is_told(
    alice: User, browser: Client, endpoint: Endpoint
) -> None:
    delivery = endpoint.send(EventType.COMPLETED, "msg_1", {})
    browser.post(PAGE, NEW | {"url": "https://example.com/two"})
    for action in ("rotate", "enable", f"deliveries/{delivery.id}/replay", "delete"):
        browser.post(f"{PAGE}{endpoint.id}/{action}/")
    events = AuditEvent.objects.filter(user=alice, action=Action.WEBHOOK).order_by("id")
    assert [event.detail for event in events] == [
        "Added: https://example.com/two",
        "New secret: https://example.com/hooks",
        "Turned on: https://example.com/hooks",
        "Sent again: msg_1 to https://example.com/hooks",
        "Deleted: https://example.com/hooks",
    ]


def test_an_address_is_kept_as_it_is_sent(browser: Client) -> None:
    browser.post(PAGE, NEW | {"url": "https://bücher.example/häuser?q=ä"})
    assert Endpoint.objects.get().url == "https://xn--bcher-kva.example/h%C3%A4user?q=%C3%A4"


def test_one_test_at_a_time_is_on_its_way(browser: Client, endpoint: Endpoint) -> None:
    for _ in range(3):
        browser.post(f"{PAGE}{endpoint.id}/test/")
    assert Delivery.objects.count() == 1
    Delivery.objects.update(state="delivered")
    browser.post(f"{PAGE}{endpoint.id}/test/")
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": ""}, "This field is required."),
        ({"url": "ftp://example.com/"}, "Enter a valid URL."),
        ({"url": "https://exa mple.com/"}, "Enter a valid URL."),
        ({"url": "javascript:alert(1)"}, "Enter a valid URL."),
        ({"events": []}, "Choose at least one event."),
        ({"events": ["x"]}, "not one of the available choices"),
    ],
)
def test_a_wrong_one_is_refused_with_a_sentence(
    browser: Client, fields: dict[str, object], words: str
) -> None:
    answer = browser.post(PAGE, NEW | fields)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_there_are_ten_at_the_most(browser: Client) -> None:
    for _ in range(10):
        assert browser.post(PAGE, NEW).status_code == 302
    assert "delete one of them" in browser.post(PAGE, NEW).content.decode()
    assert Endpoint.objects.count() == 10


def test_a_test_is_sent_and_seen_in_the_log_and_sent_again(
    browser: Client, endpoint: Endpoint
) -> None:
    assert browser.post(f"{PAGE}{endpoint.id}/test/")["Location"] == f"{PAGE}{endpoint.id}/"
    row = Delivery.objects.get()
    page = browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    assert "webhook.test" in page
    assert "Waiting" in page
    Delivery.objects.update(
        state="failed", attempts=8, status=500, answer="<b>no", last_attempt_at=row.created_at
    )
    page = browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    assert "Response: 500 · &lt;b&gt;no" in page
    browser.post(f"{PAGE}{endpoint.id}/deliveries/{row.id}/replay/")
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 0)


def test_one_that_was_switched_off_is_switched_on(browser: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(disabled_at=endpoint.created_at)
    assert "410 Gone" in browser.get(PAGE).content.decode()
    assert "Pending deliveries are sent" in browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    browser.post(f"{PAGE}{endpoint.id}/enable/")
    assert "410 Gone" not in browser.get(PAGE).content.decode()


def test_strangers_and_visitors_find_nothing(
    browser: Client, bob: User, endpoint: Endpoint
) -> None:
    browser.post(f"{PAGE}{endpoint.id}/test/")
    delivery = Delivery.objects.get()
    urls = [f"{PAGE}{endpoint.id}/{name}" for name in ("test/", "enable/", "rotate/", "delete/")]
    urls.append(f"{PAGE}{endpoint.id}/deliveries/{delivery.id}/replay/")
    stranger, visitor = Client(), Client()
    stranger.force_login(bob)
    for url in urls:
        assert stranger.post(url).status_code == 404
        assert "/accounts/login/" in visitor.post(url)["Location"]
        assert browser.get(url).status_code == 405
    assert stranger.get(f"{PAGE}{endpoint.id}/").status_code == 404
    assert "example.com/hooks" not in stranger.get(PAGE).content.decode().split("placeholder")[0]
    assert (Endpoint.objects.count(), Delivery.objects.count()) == (1, 1)
    browser.post(f"{PAGE}{endpoint.id}/delete/")
    assert not Endpoint.objects.exists()
