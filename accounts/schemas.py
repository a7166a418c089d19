"""Schemas that all parts of the API share."""

from __future__ import annotations

from typing import Any, ClassVar

from ninja import Schema
from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A JSON request body: an object with these fields and no others.

    ninja's own Schema would also accept a JSON string or number, and read attributes of it.
    """

    @staticmethod
    def example(**fields: Any) -> ConfigDict:
        """Model configuration with an example for the OpenAPI document."""
        return ConfigDict(extra="forbid", json_schema_extra={"example": fields})


def example(status: int, body: Any) -> dict[str, Any]:
    """An example response of an operation, for its `openapi_extra`."""
    return {"responses": {status: {"content": {"application/json": {"example": body}}}}}


class ErrorOut(Schema):
    """Every error response: a message for people and a code for programs."""

    model_config: ClassVar = ConfigDict(
        json_schema_extra={
            "example": {
                "detail": "The file is empty. Choose a recording with sound.",
                "code": "empty_file",
            }
        }
    )

    detail: str
    code: str
