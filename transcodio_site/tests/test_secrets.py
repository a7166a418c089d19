"""API tokens and other secrets appear in no log, no error page, and no page of the admin site."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import ApiToken, User
from accounts.tokens import issue_token
from transcodio_site.logs import FORMATS, logging_config
from transcodio_site.testing import Stack

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(params=FORMATS)
def log(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """Everything that is logged at any level, as the configured handler writes it."""
    output = StringIO()
    handler = logging.StreamHandler(output)
    config = logging_config(request.param, "DEBUG", "DEBUG")["formatters"]["structured"]
    handler.setFormatter(config.pop("()")(**config))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield output
    root.setLevel(level)
    root.removeHandler(handler)


def use_everywhere(request: Any, secret: str) -> list[Any]:
    """Send the secret in a header, and by mistake in the query string, a form, a JSON body and the
    path."""
    path, header = "/api/transcriptions", {"Authorization": f"Bearer {secret}"}
    return [
        request("GET", path, headers=header),
        request("GET", f"{path}?token={secret}&access_token={secret}"),
        request("GET", f"/no-such-page/{secret}?token={secret}"),
        request("GET", f"/transcriptions/{secret}/", headers=header),
        request("POST", path, headers=header, data={"token": secret}),
        request("POST", "/accounts/login/", data={"login": secret, "password": secret}),
        request("PATCH", f"{path}/{secret}", headers=header, json={"title": secret}),
        request("GET", path, headers={"Authorization": f"Basic {secret}"}),
    ]


@pytest.mark.covers("attack", "The logs are searched for API tokens")
def test_tokens_are_not_logged(alice: User, log: StringIO) -> None:
    _, secret = issue_token(alice)
    client = Client(raise_request_exception=False)

    def send(
        method: str, path: str, headers: Any = None, data: Any = None, json: Any = None
    ) -> Any:
        call = getattr(client, method.lower())
        body = {"data": json, "content_type": "application/json"} if json else {"data": data}
        return call(path, headers=headers, **(body if json or data else {}))

    responses = use_everywhere(send, secret)
    assert [response.status_code for response in responses if response.status_code >= 500] == []
    logging.getLogger("transcriptions").error("failed with %s", secret, exc_info=ValueError(secret))
    for path in (
        "invited/1:x:y",
        "accounts/password/reset/key/1-secret",
        "accounts/confirm-email/K:e",
    ):
        logging.getLogger("django.request").warning("Gone: /%s/", path)
    text = log.getvalue()
    assert "/no-such-page/" in text
    assert "tk_[redacted]" in text
    for part in (secret, "1:x:y", "1-secret", "K:e"):
        assert part not in text


@pytest.mark.covers("attack", "An error page is made to show an API token")
def test_error_pages_show_no_token(alice: User) -> None:
    _, secret = issue_token(alice)
    client = Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)
    for path in ("/no-such-page/", "/api/nothing", "/v1/nothing", "/transcriptions/0/"):
        response = client.get(path, {"token": secret}, headers={"Cookie": f"sessionid={secret}"})
        assert response.status_code >= 400
        assert secret not in response.content.decode()


def test_admin_pages_show_no_token(alice: User, carol: User) -> None:
    row, secret = issue_token(alice)
    client, tokens = Client(), "/admin/accounts/apitoken/"
    client.force_login(carol)
    digest = ApiToken.objects.get().digest
    for path in (
        tokens,
        f"{tokens}{row.pk}/change/",
        f"{tokens}{row.pk}/history/",
        "/admin/accounts/auditevent/",
    ):
        page = client.get(path)
        assert page.status_code == 200
        assert secret not in page.content.decode()
        assert digest not in page.content.decode()


def test_tokens_are_not_in_the_logs_of_a_running_stack(stack: Stack) -> None:
    secret = stack.token("logged@example.com")
    with httpx.Client(base_url=stack.url) as client:
        responses = use_everywhere(client.request, secret)
        client.get(f"/ws/transcriptions/{secret}/?token={secret}", headers=UPGRADE)
    assert responses[0].status_code == 200
    assert secret not in stack.log() + "".join(stack.output)
