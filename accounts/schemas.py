"""What every part of the API answers with."""

from __future__ import annotations

from typing import Any, ClassVar

from ninja import Schema
from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a program sends as JSON: an object with these fields and no others. (ninja's own Schema
    would read them from anything that has attributes of that name, a text among it.)"""

    @staticmethod
    def example(**fields: Any) -> ConfigDict:
        """Configuration with an example for the documentation."""
        return ConfigDict(extra="forbid", json_schema_extra={"example": fields})


def example(status: int, answer: Any) -> dict[str, Any]:
    """What an operation may answer, for the documentation."""
    return {"responses": {status: {"content": {"application/json": {"example": answer}}}}}


class ErrorOut(Schema):
    """Every error answer: a sentence for people, a code for programs."""

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
