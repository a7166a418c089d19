"""The OpenAPI document against the running service: no answer that it does not foretell."""

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
from transcodio_site.testing import Media, Stack


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("schemathesis@example.com")


@pytest.fixture(scope="module")
def recording(stack: Stack, token: str, media: Media) -> str:
    """The id of a finished one."""
    with media.speech("short.mp3", 6).open("rb") as file:
        answer = httpx.post(
            f"{stack.url}/api/transcribe",
            files={"file": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
        )
    id: str = answer.json()["id"]
    return id


DOCUMENT = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
schema = schemathesis.openapi.from_dict(DOCUMENT)


@schemathesis.serializer("audio/*", "video/*")
def raw_body(context: Any, value: Any) -> Any:
    """As it is."""
    return getattr(value, "data", value)


@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_foretold(
    case: Case[Any], stack: Stack, token: str, recording: str
) -> None:
    assert case.meta is not None
    mutated = {place for place, part in case.meta.components.items() if part.mode == "negative"}
    if "path" not in mutated and "id" in case.path_parameters and case.method != "DELETE":
        case.path_parameters["id"] = recording
    unusable = [
        positive_data_acceptance,  # random bytes are no recording, random words no cursor
        unsupported_method,  # it tries them at addresses that are none
    ]
    if mutated <= {"header"}:
        unusable.append(negative_data_rejection)  # our token takes the place of a wrong one
    case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        base_url=stack.url,
        excluded_checks=unusable,
    )
