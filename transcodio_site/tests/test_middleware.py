"""What surrounds every request."""

from __future__ import annotations

import pytest
from django.test import Client

from transcodio_site.middleware import RequestIdFilter


@pytest.mark.parametrize("path", ["/health", "/api/transcriptions", "/nowhere", "/v1/models"])
def test_a_request_is_known_by_the_name_that_its_caller_gave_it(
    db: None, client: Client, path: str
) -> None:
    answer = client.get(path, headers={"X-Request-ID": "job-7.retry:2"})
    assert answer["X-Request-ID"] == "job-7.retry:2"


@pytest.mark.parametrize("given", ["", "two words", "line\nbreak", "x" * 129, "ünï"])
def test_without_a_usable_one_it_gets_a_name(db: None, client: Client, given: str) -> None:
    names = {client.get("/health", headers={"X-Request-ID": given})["X-Request-ID"] for _ in "12"}
    assert len(names) == 2
    assert all(len(name) == 32 and name.isalnum() for name in names)


def test_the_log_knows_it(db: None, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    for name in ("job-7", "job-8"):
        client.get("/nowhere", headers={"X-Request-ID": name})
    names = [getattr(record, "request_id", None) for record in caplog.records]
    assert names == [" [job-7]", " [job-8]"]
