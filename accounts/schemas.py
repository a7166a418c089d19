"""What every part of the API answers with."""

from __future__ import annotations

from ninja import Schema


class ErrorOut(Schema):
    """Every error answer: a sentence for people, a code for programs."""

    detail: str
    code: str
