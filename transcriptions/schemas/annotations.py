"""Highlights, comments and bookmarks as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import AfterValidator, Field, model_validator

from accounts.schemas import Body, example
from transcriptions.models import Annotation, AnnotationKind, Color

MAX_BODY_CHARS = MAX_QUOTE_CHARS = 5000
MAX_SECONDS = 1_000_000
LINES_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"  # no control characters but white space

_ANNOTATION = {
    "id": 12,
    "kind": "comment",
    "start": 0.4,
    "end": 2.1,
    "quote": "Good morning.",
    "body": "Check the time of day.",
    "color": None,
    "created_at": "2026-05-04T09:40:00Z",
    "updated_at": "2026-05-04T09:40:00Z",
}
LIST_EXAMPLE = example(200, [_ANNOTATION])
CREATED_EXAMPLE = example(201, _ANNOTATION)
CHANGED_EXAMPLE = example(200, _ANNOTATION)


def _lines(text: str) -> str:
    """Normalize line ends, and strip surrounding white space."""
    return "\n".join(text.splitlines()).strip()


Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False, strict=True)]
Text = Annotated[
    str, Field(max_length=MAX_BODY_CHARS, pattern=LINES_PATTERN), AfterValidator(_lines)
]


class AnnotationIn(Body):
    """A highlight or a comment on a passage, or a bookmark of a moment."""

    model_config = Body.example(
        kind="comment", start=0.4, end=2.1, quote="Good morning.", body="Check the time of day."
    )

    kind: AnnotationKind
    start: Seconds = Field(description="In seconds")
    end: Seconds | None = Field(
        default=None, description="For a bookmark: the same as `start`, which is the default"
    )
    quote: Text = Field(default="", description="The text of the passage")
    body: Text = Field(default="", description="Your note; required for comments")
    color: Color | None = Field(default=None, description="Color of a highlight; default: yellow")

    @model_validator(mode="after")
    def _is_consistent(self) -> AnnotationIn:
        if self.kind == AnnotationKind.COMMENT and not self.body:
            raise ValueError("a comment needs a `body`")
        if self.color and self.kind != AnnotationKind.HIGHLIGHT:
            raise ValueError("only a highlight has a `color`")
        if self.end is not None and self.end < self.start:
            raise ValueError("`end` must not be before `start`")
        return self

    def columns(self) -> dict[str, Any]:
        """The values of a new row."""
        is_highlight = self.kind == AnnotationKind.HIGHLIGHT
        is_passage = self.kind != AnnotationKind.BOOKMARK and self.end is not None
        return {
            "kind": self.kind,
            "start": self.start,
            "end": self.end if is_passage else self.start,
            "quote": self.quote,
            "body": self.body,
            "color": (self.color or Color.YELLOW) if is_highlight else "",
        }


class AnnotationChange(Body):
    """The fields of an annotation to change."""

    model_config = Body.example(body="Ask Anna about this.")

    body: Text | None = None
    color: Color | None = Field(default=None, description="Color of a highlight")


class AnnotationOut(Schema):
    """A highlight or a comment on a passage, or a bookmark of a moment."""

    id: int
    kind: AnnotationKind
    start: float = Field(description="In seconds. It does not move when the text changes")
    end: float
    quote: str = Field(description="The text of the passage when the annotation was created")
    body: str
    color: Color | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Annotation) -> AnnotationOut:
        """Create from a row."""
        return cls(
            id=row.id,
            kind=AnnotationKind(row.kind),
            start=row.start,
            end=row.end,
            quote=row.quote,
            body=row.body,
            color=Color(row.color) if row.color else None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
