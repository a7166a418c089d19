"""API tokens over REST, for sessions only: a token cannot create, list or revoke tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.utils.translation import gettext
from ninja import Field, Router, Schema, Status
from pydantic import AfterValidator

from accounts import tokens
from accounts.authentication import WebSessionAuth, authenticated_user
from accounts.models import Scope
from accounts.schemas import Body, ErrorOut, example
from accounts.text import NOT_BLANK, validate_display_name

router = Router(tags=["tokens"], auth=WebSessionAuth(reject_tokens=True))


class TokenIn(Body):
    """A token to create."""

    model_config = Body.example(name="Laptop", scopes=["transcriptions:read"], expires_in_days=90)

    name: Annotated[
        str,
        Field(min_length=1, max_length=100, json_schema_extra=NOT_BLANK),
        AfterValidator(validate_display_name),
    ]
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(Scope)
    monthly_minutes: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="Minutes of audio; null: only the plan's limit"),
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


class TokenCreated(TokenOut):
    """A new token, with its secret."""

    token: str = Field(description="The secret. It is not shown again.")


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
_LIST_EXAMPLE = example(200, [_TOKEN])
_CREATED_EXAMPLE = example(201, _TOKEN | {"token": "tk_Vb3qk..."})
ERROR_RESPONSES: dict[Any, Any] = {401: ErrorOut, 403: ErrorOut, 429: ErrorOut}


@router.get(
    "/tokens", response={200: list[TokenOut], **ERROR_RESPONSES}, openapi_extra=_LIST_EXAMPLE
)
def list_tokens(request: HttpRequest) -> Any:
    """List your tokens, newest first."""
    return authenticated_user(request).api_tokens.all()


@router.post(
    "/tokens",
    response={201: TokenCreated, **dict.fromkeys((400, 413, 422), ErrorOut), **ERROR_RESPONSES},
    openapi_extra=_CREATED_EXAMPLE,
)
def create_token(request: HttpRequest, body: TokenIn) -> Any:
    """Create a token. Only this response contains its secret."""
    token, secret = tokens.issue_token(
        authenticated_user(request),
        body.name,
        [str(scope) for scope in body.scopes],
        body.expires_in_days,
        body.monthly_minutes,
        request,
    )
    fields = TokenOut.from_orm(token).model_dump()
    return Status(201, TokenCreated(**fields, token=secret))


@router.delete("/tokens/{int:token_id}", response={204: None, 404: ErrorOut, **ERROR_RESPONSES})
def revoke_token(request: HttpRequest, token_id: int) -> Status[None]:
    """Revoke a token. It stops working immediately."""
    token = authenticated_user(request).api_tokens.filter(id=token_id).first()
    if token is None:
        raise Http404(gettext("Token not found."))
    tokens.revoke_token(token, request)
    return Status(204, None)
