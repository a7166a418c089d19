"""Cross-origin requests: pages of other sites may use tokens, and never cookies."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcodio_site.admission import error_response
from transcodio_site.testing import ROOT
from transcodio_site.tests.test_permissions import OPERATIONS
from transcriptions.testing import Headers
from transcriptions.uploads.service import too_slow

ORIGIN = "https://app.example.com"


def preflight(path: str, method: str, headers: str = "authorization") -> dict[str, str]:
    """The headers of the response to a browser's preflight request."""
    response = Client().options(
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )
    assert response.status_code == 200
    return {name.lower(): value for name, value in response.items()}


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if " /api/" in o or " /v1/" in o])
def test_preflight_of_every_operation_is_answered(db: None, operation: str) -> None:
    method, path = operation.split(" ")
    answer = preflight(path.replace("{", "").replace("}", ""), method)
    assert answer["access-control-allow-origin"] == "*"
    assert {"*", "authorization"} <= {*answer["access-control-allow-headers"].split(", ")}
    assert method in {"HEAD", *answer["access-control-allow-methods"].split(", ")}
    assert "access-control-allow-credentials" not in answer


def test_answers_and_errors_can_be_read(alice: User, token_of: Headers) -> None:
    client = Client(headers={"Origin": ORIGIN, **token_of(alice)})
    paths = {"/v1/models": 200, "/api/transcriptions": 200, "/api/transcriptions?limit=0": 422}
    for path, status in (*paths.items(), ("/v1/nothing", 404)):
        response = client.get(path)
        assert response.status_code == status
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response["Access-Control-Expose-Headers"] == "*"


def test_refusal_of_an_arriving_body_can_be_read() -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/audio/transcriptions",
        "query_string": b"",
        "headers": [(b"origin", ORIGIN.encode())],
    }
    response = error_response(scope, too_slow())
    assert response.status_code == 408
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.covers("attack", "A page of another site uses the session of its visitor")
def test_cookies_are_not_for_other_sites(alice: User) -> None:
    client = Client(headers={"Origin": ORIGIN})
    client.force_login(alice)
    response = client.get("/api/transcriptions")
    assert "Access-Control-Allow-Credentials" not in response  # browsers then hide the response
    for path in ("/", "/settings/tokens/", "/health"):
        assert "Access-Control-Allow-Origin" not in client.get(path)


def test_origins_can_be_limited(db: None, settings: Any) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS, settings.CORS_ALLOWED_ORIGINS = False, [ORIGIN]
    assert preflight("/v1/models", "GET")["access-control-allow-origin"] == ORIGIN
    other = Client().get("/v1/models", headers={"Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in other
    assert "origin" in other["Vary"]


def test_invalid_origin_stops_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import transcodio_site.settings.clients"],
        cwd=ROOT,
        env=os.environ | {"CORS_ALLOWED_ORIGINS": f"{ORIGIN},app.example.com"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "app.example.com is not valid: write https://host" in done.stderr
