"""The OpenAPI document: complete, and correct about every response of a running stack."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
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
# An invalid query may also be too long for a URL.
REJECTED = schema.config.checks.negative_data_rejection
REJECTED.expected_statuses = [*REJECTED.expected_statuses, "414"]


def assert_matches_schema(content: dict[str, Any], where: str) -> None:
    """The example has exactly the properties of its schema."""
    example, schema = content["example"], content["schema"]
    if "items" in schema:
        example, schema = example[0], schema["items"]
    if "$ref" in schema:
        named = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        assert set(example) == set(named["properties"]), where


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation, with its method and path."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def media_types(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The content of the request and of all responses."""
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).values()


# --- What spectral and redocly check ------------------------------------------------------------


def test_document_describes_itself() -> None:
    info = DOCUMENT["info"]
    assert all(info[name] for name in ("title", "version", "description", "license", "contact"))
    assert [urlsplit(server["url"]).scheme for server in DOCUMENT["servers"]] == ["http"]


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len({*ids})


def test_operations_have_a_summary_a_success_and_a_described_tag() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    used = set()
    for where, operation in operations():
        assert operation["summary"], where
        assert operation["description"], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        assert operation["security"], where
        used |= {*operation["tags"]}
    assert used == described


def test_path_parameters_are_declared() -> None:
    for where, operation in operations():
        declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert declared == {*re.findall(r"{(\w+)}", where)}, where


def test_schemas_are_used_and_exist() -> None:
    used = {*re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))}
    assert used == DOCUMENT["components"]["schemas"].keys()


def test_examples_are_valid() -> None:
    validated = 0
    for where, operation in operations():
        for content in media_types(operation):
            if "example" in content:
                schema = content["schema"] | {"components": DOCUMENT["components"]}
                errors = [*Draft202012Validator(schema).iter_errors(content["example"])]
                assert errors == [], where
                validated += 1
    for name, named in DOCUMENT["components"]["schemas"].items():
        if "example" in named:
            schema = named | {"components": DOCUMENT["components"]}
            assert [*Draft202012Validator(schema).iter_errors(named["example"])] == [], name
            validated += 1
    assert validated > 20


# --- Generated clients --------------------------------------------------------------------------


def test_form_of_an_upload_requires_the_file() -> None:
    """Generators choose the wrong media type if there are several."""
    uploads = [o for _, o in operations() if "multipart/form-data" in json.dumps(o)]
    assert len(uploads) == 4
    for operation in uploads:
        ((media_type, content),) = operation["requestBody"]["content"].items()
        assert media_type == "multipart/form-data"
        assert content["schema"]["required"] == ["file"]
        assert content["schema"]["properties"]["file"]["format"] == "binary"


@pytest.mark.slow
def test_generated_client_uploads_and_reads(
    stack: Stack, token: str, media: Media, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "config.yaml").write_text("post_hooks: []")  # no formatting
    generated = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", "openapi.json", "--output-path", "transcodio_client"),
            *("--config", "config.yaml"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert generated.returncode == 0, generated.stderr
    assert "warning" not in generated.stdout.lower()
    (tmp_path / "use.py").write_text(USE_GENERATED_CLIENT)
    done = subprocess.run(
        [sys.executable, "use.py", stack.url, token, str(media.speech("short.mp3", 6))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "walking along the harbor" in done.stdout


USE_GENERATED_CLIENT = """
import sys
from pathlib import Path

from transcodio_client import AuthenticatedClient
from transcodio_client.api.transcriptions import get_transcription, transcribe
from transcodio_client.models import TranscribeMultiPartBodyParams
from transcodio_client.types import File

url, token, path = sys.argv[1:]
client = AuthenticatedClient(url, token, timeout=600, raise_on_unexpected_status=True)
with open(path, "rb") as content:
    file = File(content, Path(path).name, "audio/mpeg")
    body = TranscribeMultiPartBodyParams(file=file, title="Generated")
    created = transcribe.sync(client=client, body=body)
assert created.title == "Generated", created
print(get_transcription.sync(created.id, client=client).text)
"""


# --- Ours ---------------------------------------------------------------------------------------


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
