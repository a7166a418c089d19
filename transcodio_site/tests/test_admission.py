"""What is decided from the headers of a large body, and for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse

from accounts.models import Scope, User
from accounts.rate_limits import COUNTED
from accounts.tokens import issue_token
from transcodio_site.admission import (
    IMPORT_PATH,
    UPLOAD_PATHS,
    Admission,
    check_upload,
    count_body,
    uploads_from_address,
    uploads_of_user,
)
from transcodio_site.api import api
from transcodio_site.asr_api import asr_api
from transcodio_site.openai_api import openai_api
from transcriptions.models import IdempotencyKey
from transcriptions.testing import assign_plan, queue_many, use_minutes

MEGABYTE = 1 << 20


def scope_of(user: User, path: str = "/api/transcriptions", **headers: str) -> dict[str, Any]:
    """The scope of an upload by a program of the user."""
    headers = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {issue_token(user)[1]}",
        "content-type": "multipart/form-data; boundary=x",
        "content-length": str(3 * MEGABYTE),
        **headers,
    }
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ["192.0.2.1", 1234],
    }


def refusal(scope: dict[str, Any], length: int = 3 * MEGABYTE) -> tuple[int, dict[str, Any]]:
    """Status and body of the response."""
    response = check_upload(scope, length)
    assert isinstance(response, HttpResponse)
    return response.status_code, json.loads(response.content)


def admit(scope: dict[str, Any], length: int = 3 * MEGABYTE) -> Admission:
    """Begin an upload."""
    admission = check_upload(scope, length)
    assert isinstance(admission, Admission)
    return admission


@pytest.mark.parametrize("path", sorted(UPLOAD_PATHS))
def test_upload_of_a_user_is_admitted(alice: User, path: str, settings: Any) -> None:
    admission = admit(scope_of(alice, path))
    assert admission.max_megabytes == settings.MAX_FILE_SIZE_MB
    admission.release()


def test_every_operation_that_takes_a_file_is_an_upload_path() -> None:
    takes_file = {
        f"{prefix}{path}"
        for prefix, each in (("/api", api), ("/v1", openai_api), ("", asr_api))
        for router_prefix, router in each._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        if any(model.__ninja_param_source__ == "file" for model in operation.models)
    }
    assert {path for path in takes_file if not IMPORT_PATH.fullmatch(path)} == UPLOAD_PATHS
    assert len(takes_file) == len(UPLOAD_PATHS) + 1


@pytest.mark.covers("attack", "An upload larger than the plan allows")
def test_body_larger_than_the_plan_allows_is_413(alice: User) -> None:
    assign_plan(alice, max_file_mb=5)
    admit(scope_of(alice), 6 * MEGABYTE).release()  # a form adds to the file
    status, body = refusal(scope_of(alice), 6 * MEGABYTE + 1)
    assert (status, body["code"]) == (413, "file_too_large")
    assert "larger than 5 MB" in body["detail"]


def test_upload_without_minutes_left_is_429_before_the_body(alice: User) -> None:
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 10)
    for key in ({}, {"idempotency-key": "new"}):
        status, body = refusal(scope_of(alice, **key))
        assert (status, body["code"]) == (429, "quota_exceeded")
    status, body = refusal(scope_of(alice, "/v1/audio/transcriptions"))
    assert (status, body["error"]["code"]) == (429, "quota_exceeded")


@pytest.mark.covers("attack", "A large upload although too many recordings wait")
@pytest.mark.parametrize("path", sorted(UPLOAD_PATHS))
def test_upload_into_a_full_queue_is_refused_before_the_body(
    alice: User, bob: User, settings: Any, path: str
) -> None:
    queue_many(bob, 3)
    settings.MAX_WAITING_PER_ACCOUNT, settings.MAX_WAITING = 3, 4
    admit(scope_of(alice, path)).release()
    for owner, limit, status in ((bob, 4, 429), (alice, 3, 503)):
        settings.MAX_WAITING = limit
        response = check_upload(scope_of(owner, path), 3 * MEGABYTE)
        assert isinstance(response, HttpResponse)
        assert response.status_code == status
        assert int(response["Retry-After"]) > 0


def test_retry_without_minutes_left_is_admitted(alice: User) -> None:
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 10)
    IdempotencyKey.objects.create(owner=alice, key="used", fingerprint="")
    admit(scope_of(alice, **{"idempotency-key": "used"})).release()
    admit(scope_of(alice, **{"x-stainless-retry-count": "1"})).release()


def test_large_upload_counts_once_for_the_rate_limit(alice: User, settings: Any) -> None:
    settings.RATE_LIMIT_PER_TOKEN = "2/hour"
    scope = scope_of(alice)
    for _ in range(4):  # as the server does: the scope keeps the count
        admit(scope).release()
    del scope[COUNTED]
    admit(scope).release()
    del scope[COUNTED]
    status, body = refusal(scope)
    assert (status, body["code"]) == (429, "rate_limited")


@pytest.mark.covers("attack", "Uploads with a revoked or expired token, or of a locked account")
def test_token_that_is_no_longer_valid_is_401(alice: User, bob: User) -> None:
    expired, revoked, locked = (scope_of(user) for user in (alice, alice, bob))
    newest, oldest = alice.api_tokens.all()
    newest.delete()
    alice.api_tokens.filter(pk=oldest.pk).update(expires_at="2020-01-01T00:00:00Z")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    for scope in (expired, revoked, locked):
        assert refusal(scope)[0] == 401


@pytest.mark.covers("attack", "An upload with a token that may only read")
def test_upload_with_a_token_that_may_only_read_is_403(alice: User) -> None:
    secret = issue_token(alice, scopes=[Scope.READ])[1]
    status, body = refusal(scope_of(alice, authorization=f"Bearer {secret}"))
    assert (status, body["code"]) == (403, "insufficient_scope")


@pytest.mark.covers("attack", "A request that names another host")
def test_upload_for_another_host_is_400(alice: User) -> None:
    assert refusal(scope_of(alice, host="example.com"))[0] == 400


def test_uploads_of_one_user_are_limited_and_counted_until_released(
    alice: User, bob: User, settings: Any
) -> None:
    settings.MAX_UPLOADS_PER_USER = 2
    first, second = admit(scope_of(alice)), admit(scope_of(alice))
    status, body = refusal(scope_of(alice))
    assert (status, body["code"]) == (429, "too_many_uploads")
    admit(scope_of(bob)).release()
    first.release()
    admit(scope_of(alice)).release()
    second.release()
    assert not uploads_of_user._open
    assert not uploads_from_address._open


def test_uploads_of_one_address_are_limited_behind_a_proxy(
    alice: User, bob: User, settings: Any
) -> None:
    settings.MAX_UPLOADS_PER_ADDRESS = 1
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    first = admit(scope_of(alice, **{"x-forwarded-for": "203.0.113.1"}))
    status, body = refusal(
        scope_of(bob, "/v1/audio/transcriptions", **{"x-forwarded-for": "203.0.113.1"})
    )
    assert (status, body["error"]["code"]) == (429, "too_many_uploads")
    second = admit(scope_of(bob, **{"x-forwarded-for": "203.0.113.2"}))
    release = count_body(scope_of(bob, **{"x-forwarded-for": "203.0.113.3"}))
    for each in (first.release, second.release, release):
        each()
    assert not uploads_of_user._open
    assert not uploads_from_address._open
