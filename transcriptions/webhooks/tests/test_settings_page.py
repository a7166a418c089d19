"""The webhook settings: endpoints and the log of their deliveries, for their owner only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.http import Http404
from django.test import Client

from accounts.models import Action, AuditEvent, User
from transcriptions.webhooks import lifecycle, outbox
from transcriptions.webhooks.models import Delivery, Endpoint, EventType

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/settings/webhooks/"
NEW = {"url": "https://example.com/hooks", "events": ["transcription.completed"]}


@pytest.fixture
def endpoint(alice: User) -> Endpoint:
    return Endpoint.objects.create(owner=alice, url="https://example.com/hooks")


def secrets_in(response: Any) -> list[str]:
    return re.findall(r"whsec_[\w+/]{43}=", response.content.decode())


def test_new_endpoint_shows_its_secret_once(alice: User, browser: Client) -> None:
    assert browser.post(PAGE, NEW)["Location"] == PAGE
    row = Endpoint.objects.get()
    assert (row.owner, row.url, row.events) == (alice, NEW["url"], NEW["events"])
    response = browser.get(PAGE)
    assert secrets_in(response) == [row.secret]
    assert "no-store" in response["Cache-Control"]
    assert secrets_in(browser.get(PAGE)) == []


@pytest.mark.parametrize(
    ("action", "question"), [("rotate", "Rotate the secret?"), ("delete", "Delete this webhook?")]
)
def test_question_changes_nothing(
    browser: Client, endpoint: Endpoint, action: str, question: str
) -> None:
    page = browser.get(f"{PAGE}{endpoint.id}/{action}/").content.decode()
    assert question in page
    assert endpoint.url in page
    assert f'<form method="post" action="{PAGE}{endpoint.id}/{action}/">' in page
    assert Endpoint.objects.get().secret == endpoint.secret


def test_rotated_secret_is_shown_once(browser: Client, endpoint: Endpoint) -> None:
    assert browser.post(f"{PAGE}{endpoint.id}/rotate/")["Location"] == PAGE
    new = Endpoint.objects.get().secret
    assert new != endpoint.secret
    assert secrets_in(browser.get(PAGE)) == [new]
    assert secrets_in(browser.get(PAGE)) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://user:secret@example.com/", "Remove the user name and password from the URL."),
        ("https://example.com:99999/", "Enter a port from 1 to 65535."),
    ],
)
def test_url_with_password_or_invalid_port_is_400(browser: Client, url: str, message: str) -> None:
    response = browser.post(PAGE, NEW | {"url": url})
    assert response.status_code == 400
    assert message in response.content.decode()
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("host", ["xn--ls8h.la", "xn--a.com"])
def test_host_in_unusual_punycode_is_accepted(browser: Client, host: str) -> None:
    assert browser.post(PAGE, NEW | {"url": f"https://{host}/hooks"}).status_code == 302
    assert Endpoint.objects.get().url == f"https://{host}/hooks"


@pytest.mark.covers("attack", "A webhook is sent to a server in the private network")
@pytest.mark.parametrize(
    "host", ["localhost", "app.localhost", "127.0.0.1", "10.1.2.3:8080", "[::1]", "169.254.169.254"]
)
def test_private_address_is_400(browser: Client, settings: Any, host: str) -> None:
    response = browser.post(PAGE, NEW | {"url": f"http://{host}/hooks"})
    assert response.status_code == 400
    assert "Enter a URL that can be reached from the Internet." in response.content.decode()
    settings.WEBHOOK_ALLOW_PRIVATE = True
    assert browser.post(PAGE, NEW | {"url": f"http://{host}/hooks"}).status_code == 302


def test_changes_of_webhooks_are_in_the_audit_log(
    alice: User, browser: Client, endpoint: Endpoint
) -> None:
    delivery = endpoint.create_delivery(EventType.COMPLETED, "msg_1", {})
    browser.post(PAGE, NEW | {"url": "https://example.com/two"})
    for action in ("rotate", "enable", f"deliveries/{delivery.id}/replay", "delete"):
        browser.post(f"{PAGE}{endpoint.id}/{action}/")
    events = AuditEvent.objects.filter(user=alice, action=Action.WEBHOOK).order_by("id")
    assert [event.detail for event in events] == [
        "Added: https://example.com/two",
        "Secret rotated: https://example.com/hooks",
        "Enabled: https://example.com/hooks",
        "Resent: msg_1 to https://example.com/hooks",
        "Deleted: https://example.com/hooks",
    ]


def test_url_is_stored_in_ascii(browser: Client) -> None:
    browser.post(PAGE, NEW | {"url": "https://bücher.example/häuser?q=ä"})
    assert Endpoint.objects.get().url == "https://xn--bcher-kva.example/h%C3%A4user?q=%C3%A4"


def test_only_one_test_event_is_pending(browser: Client, endpoint: Endpoint) -> None:
    for _ in range(3):
        browser.post(f"{PAGE}{endpoint.id}/test/")
    assert Delivery.objects.count() == 1
    Delivery.objects.update(state="delivered")
    browser.post(f"{PAGE}{endpoint.id}/test/")
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": ""}, "This field is required."),
        ({"url": "ftp://example.com/"}, "Enter a valid URL."),
        ({"url": "https://exa mple.com/"}, "Enter a valid URL."),
        ({"url": "javascript:alert(1)"}, "Enter a valid URL."),
        ({"events": []}, "Select at least one event."),
        ({"events": ["x"]}, "not one of the available choices"),
    ],
)
def test_invalid_form_is_400_with_a_message(
    browser: Client, fields: dict[str, object], message: str
) -> None:
    response = browser.post(PAGE, NEW | fields)
    assert response.status_code == 400
    assert message in response.content.decode()
    assert not Endpoint.objects.exists()


def test_number_of_endpoints_is_limited(browser: Client) -> None:
    for _ in range(10):
        assert browser.post(PAGE, NEW).status_code == 302
    assert "up to 10 webhooks" in browser.post(PAGE, NEW).content.decode()
    assert Endpoint.objects.count() == 10


def test_webhook_test_event_is_logged_and_can_be_replayed(
    browser: Client, endpoint: Endpoint
) -> None:
    assert browser.post(f"{PAGE}{endpoint.id}/test/")["Location"] == f"{PAGE}{endpoint.id}/"
    row = Delivery.objects.get()
    page = browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    assert "webhook.test" in page
    assert "Pending" in page
    Delivery.objects.update(
        state="failed", attempts=8, status=500, response="<b>no", last_attempt_at=row.created_at
    )
    page = browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    assert "Response: 500 · &lt;b&gt;no" in page
    browser.post(f"{PAGE}{endpoint.id}/deliveries/{row.id}/replay/")
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 0)


def test_disabled_endpoint_can_be_enabled(browser: Client, endpoint: Endpoint) -> None:
    Endpoint.objects.update(disabled_at=endpoint.created_at)
    assert "410 Gone" in browser.get(PAGE).content.decode()
    assert "Pending deliveries are sent" in browser.get(f"{PAGE}{endpoint.id}/").content.decode()
    browser.post(f"{PAGE}{endpoint.id}/enable/")
    assert "410 Gone" not in browser.get(PAGE).content.decode()


def test_stranger_gets_404_and_visitor_is_redirected_to_login(
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
        if url.endswith(("/rotate/", "/delete/")):  # ask first
            assert stranger.get(url).status_code == 404
            assert browser.get(url).status_code == 200
        else:
            assert browser.get(url).status_code == 405
    assert stranger.get(f"{PAGE}{endpoint.id}/").status_code == 404
    assert "example.com/hooks" not in stranger.get(PAGE).content.decode().split("placeholder")[0]
    assert (Endpoint.objects.count(), Delivery.objects.count()) == (1, 1)
    browser.post(f"{PAGE}{endpoint.id}/delete/")
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("change", [lifecycle.rotate_secret, outbox.send_test])
def test_endpoint_that_was_deleted_meanwhile_is_404(
    endpoint: Endpoint, change: Callable[[Endpoint], None]
) -> None:
    Endpoint.objects.all().delete()
    with pytest.raises(Http404):
        change(endpoint)
