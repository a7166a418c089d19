"""`POST /v1/realtime/client_secrets`: for pages and apps that connect to the Realtime API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from accounts.authentication import request_token
from accounts.client_secrets import (
    LIFETIME_S,
    MAX_LIFETIME_S,
    MIN_LIFETIME_S,
    issue_client_secret,
)
from transcriptions.api.openai.realtime.consumer import session_object
from transcriptions.api.openai.realtime.items import new_id
from transcriptions.api.openai.realtime.settings import Session

router = Router()


class ExpiresAfter(BaseModel):
    """When the secret stops opening connections. Connections that are open then stay open."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=MIN_LIFETIME_S, le=MAX_LIFETIME_S)] = LIFETIME_S


class ClientSecretIn(BaseModel):
    """How long the secret is valid, and the initial settings of the sessions that it opens."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: Any = None


@router.post("/realtime/client_secrets")
def create_client_secret(request: HttpRequest, body: ClientSecretIn) -> dict[str, Any]:
    """Create a secret that only opens WebSockets for audio."""
    token = request_token(request)
    if token is None:
        raise TypeError("a session")
    settings = Session().updated({} if body.session is None else body.session)
    lifetime_s = body.expires_after.seconds
    value, expires_at = issue_client_secret(token, settings.model_dump(), lifetime_s)
    session = session_object(settings, new_id("sess"), expires_at)
    return {"value": value, "expires_at": expires_at, "session": session}
