"""Tokens over REST. With the session only: a token cannot make, see or revoke others."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Field, Router, Schema, Status
from pydantic import AfterValidator

from accounts import tokens
from accounts.authentication import PageAuth, authenticated_user
from accounts.models import Scope
from accounts.schemas import Body, ErrorOut, example
from accounts.text import validate_display_name

router = Router(tags=["tokens"], auth=PageAuth(alone=True))


class TokenIn(Body):
    """A token to be made."""

    model_config = Body.example(name="Laptop", scopes=["transcriptions:read"], expires_in_days=90)

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(validate_display_name)]
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(Scope)
    monthly_minutes: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="Of audio; else as much as you have")
    ] = None
    expires_in_days: Annotated[int | None, Field(ge=1, le=3650)] = None


class TokenOut(Schema):
    """A token, without its secret."""

    id: int
    name: str
    hint: str = Field(description="The first characters of the secret")
    scopes: list[Scope]
    monthly_minutes: int | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None


class TokenMade(TokenOut):
    """A new token, with its secret."""

    token: str = Field(description="Shown this once")


_TOKEN: dict[str, Any] = {
    "id": 7,
    "name": "Laptop",
    "hint": "tk_Vb3qk",
    "scopes": ["transcriptions:read"],
    "monthly_minutes": None,
    "created_at": "2026-05-04T09:30:00Z",
    "expires_at": "2026-08-02T09:30:00Z",
    "last_used_at": None,
    "last_used_address": None,
}
_LISTED = example(200, [_TOKEN])
_MADE = example(201, _TOKEN | {"token": "tk_Vb3qk..."})
REFUSALS: dict[Any, Any] = {401: ErrorOut, 403: ErrorOut, 429: ErrorOut}


@router.get("/tokens", response={200: list[TokenOut], **REFUSALS}, openapi_extra=_LISTED)
def list_tokens(request: HttpRequest) -> Any:
    """Your tokens, newest first."""
    return authenticated_user(request).api_tokens.all()


@router.post(
    "/tokens",
    response={201: TokenMade, **dict.fromkeys((400, 413, 422), ErrorOut), **REFUSALS},
    openapi_extra=_MADE,
)
def create_token(request: HttpRequest, given: TokenIn) -> Any:
    """Make a token. Its secret is in this answer and nowhere else."""
    row, secret = tokens.issue_token(
        authenticated_user(request),
        given.name,
        [str(s) for s in given.scopes],
        given.expires_in_days,
        given.monthly_minutes,
        request,
    )
    made = TokenOut.from_orm(row).model_dump()
    return Status(201, TokenMade(**made, token=secret))


@router.delete("/tokens/{int:id}", response={204: None, 404: ErrorOut, **REFUSALS})
def revoke_token(request: HttpRequest, id: int) -> Status[None]:
    """The token stops working at once."""
    row = authenticated_user(request).api_tokens.filter(id=id).first()
    if row is None:
        raise Http404("There is no such token.")
    tokens.revoke_token(row, request)
    return Status(204, None)
