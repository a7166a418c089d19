"""The OpenAPI document: complete, and correct about every response of a running stack."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from ninja.responses import NinjaJSONEncoder
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from transcodio_site.api import api
from transcodio_site.openapi import ERRORS
from transcodio_site.testing import WAIT_S, Media, Stack


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("schemathesis@example.com")


@pytest.fixture(scope="module")
def recording(stack: Stack, token: str, media: Media) -> str:
    """The id of a completed transcription."""
    with media.speech("short.mp3", 6).open("rb") as file:
        response = httpx.post(
            f"{stack.url}/api/transcribe",
            files={"file": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_S,
        )
    transcription_id: str = response.json()["id"]
    return transcription_id


DOCUMENT = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
schema = schemathesis.openapi.from_dict(DOCUMENT)


def assert_matches_schema(content: dict[str, Any], where: str) -> None:
    """The example has exactly the properties of its schema."""
    example, schema = content["example"], content["schema"]
    if "items" in schema:
        example, schema = example[0], schema["items"]
    if "$ref" in schema:
        named = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        assert set(example) == set(named["properties"]), where


def test_parameters_are_unique() -> None:
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method, operation in operations.items():
            names = [(p["in"], p["name"]) for p in operation["parameters"]]
            assert len(names) == len({*names}), (path, method)


def test_operations_document_examples_and_headers() -> None:
    examples = 0
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            for status, response in operation["responses"].items():
                assert "X-Request-ID" in response["headers"], where
                assert ("Retry-After" in response["headers"]) == (status in ("429", "503")), where
                content = response.get("content", {})
                if int(status) >= 400 and content:
                    code = content["application/json"]["example"]["code"]
                    assert code == ERRORS[int(status)][0]
                elif "application/json" in content and method != "head":
                    assert_matches_schema(content["application/json"], where)
                    examples += 1
            names = {parameter["name"] for parameter in operation["parameters"]}
            if path.endswith("/events"):
                assert {"Last-Event-ID", "after"} <= names
            elif method == "get":
                assert "If-None-Match" in names
                assert "304" in operation["responses"]
    assert examples > 8


@schemathesis.serializer("audio/*", "video/*")
def raw_body(context: Any, value: Any) -> Any:
    """Send the body unchanged."""
    return getattr(value, "data", value)


@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_responses_match_the_document(
    case: Case[Any], stack: Stack, token: str, recording: str
) -> None:
    assert case.meta is not None
    mutated = {place for place, part in case.meta.components.items() if part.mode == "negative"}
    if (
        "path" not in mutated
        and "transcription_id" in case.path_parameters
        and case.method != "DELETE"
    ):
        case.path_parameters["transcription_id"] = recording
    excluded = [
        positive_data_acceptance,  # random bytes are no recording, and random text is no cursor
        unsupported_method,  # it tries them at URLs without a route
    ]
    if mutated <= {"header"}:
        excluded.append(negative_data_rejection)  # our token replaces an invalid one
    case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        timeout=WAIT_S,
        base_url=stack.url,
        excluded_checks=excluded,
    )
