"""The table of errors."""

from __future__ import annotations

from django.test import RequestFactory
from ninja.errors import HttpError

from transcodio_site.errors import PROBLEMS


def test_unknown_message_of_the_api_library_is_kept(rf: RequestFactory) -> None:
    problem = PROBLEMS[HttpError](rf.get("/api/"), HttpError(409, "Something new"))
    assert (problem.status, problem.detail) == (409, "Something new")
