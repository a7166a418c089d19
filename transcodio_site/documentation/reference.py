"""The API reference at /api/docs: the OpenAPI document as a page of the site."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase
from ninja.responses import NinjaJSONEncoder

from transcodio_site.documentation.curl import curl
from transcodio_site.documentation.rendering import inline
from transcodio_site.documentation.responses import public_page

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a property of an object."""

    name: str
    place: str  # path, query or header; empty for a property
    type: SafeString
    description: SafeString
    default: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Body:
    """One form in which a request may be sent."""

    media_type: str
    type: SafeString
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers with one status."""

    status: str
    phrase: str
    description: SafeString
    media_types: list[str]
    type: SafeString
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    anchor: str
    text: str
    scope: str  # empty: no token may do this
    parameters: list[Field]
    bodies: list[Body]
    answers: list[Answer]
    errors: list[Answer]
    curl: str

    @property
    def name(self) -> str:
        """As in the headings."""
        return f"{self.method} {self.path}"

    @property
    def short_path(self) -> str:
        """For narrow lists: without `/api`, and with `{id}` for any id."""
        return re.sub(r"{\w+_id}", "{id}", self.path.removeprefix("/api"))

    @property
    def summary(self) -> SafeString:
        """What it does."""
        return inline(self.text)


@dataclass(frozen=True, slots=True)
class Schema:
    """What several operations take or return: an object, or a choice of values."""

    name: str
    description: SafeString
    type: SafeString
    fields: list[Field]


class ReferencePage(DocsBase):
    """In place of django-ninja's Swagger UI: needs no script, and has the layout of the site."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """The page."""
        context = {
            "operations": operations_of(api),
            "schemas": schemas_of(api),
            "base_url": settings.SITE_URL,
        }
        return public_page("docs/reference.html", context)


@cache
def document_of(api: NinjaAPI) -> Json:
    """The OpenAPI document as programs read it."""
    document: Json = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
    return document


@cache
def operations_of(api: NinjaAPI) -> list[Operation]:
    """All operations, in the order of the document. HEAD is what GET is, without a body."""
    document = document_of(api)
    return [
        _operation(method.upper(), path, about, document)
        for path, methods in document["paths"].items()
        for method, about in methods.items()
        if method != "head"
    ]


def schemas_of(api: NinjaAPI) -> list[Schema]:
    """The objects that answers and request bodies consist of."""
    document = document_of(api)
    used = _used(document)
    return [
        Schema(name, inline(about.get("description", "")), type_of(about), [*_properties(about)])
        for name, about in sorted(document["components"]["schemas"].items())
        if name in used
    ]


def _used(document: Json) -> set[str]:
    """Names of schemas that the operations or other used schemas refer to."""
    schemas = document["components"]["schemas"]
    found: set[str] = set()
    waiting = [*_references(document["paths"])]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting.extend(_references(schemas[name]))
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield _name_of(part)
        part = part.values()
    if not isinstance(part, str) and isinstance(part, Iterable):
        for inner in part:
            yield from _references(inner)


def _operation(method: str, path: str, about: Json, document: Json) -> Operation:
    content = about.get("requestBody", {}).get("content", {})
    answers = [_answer(status, answer) for status, answer in sorted(about["responses"].items())]
    scope = about.get("x-required-scope", "")
    return Operation(
        method=method,
        path=path,
        anchor=about["operationId"],
        text=str(about.get("description", about["summary"])),
        scope=scope,
        parameters=[_parameter(parameter) for parameter in about["parameters"]],
        bodies=[_body(media_type, part["schema"]) for media_type, part in content.items()],
        answers=[answer for answer in answers if answer.status < "400"],
        errors=[answer for answer in answers if answer.status >= "400"],
        curl=curl(method, path, about, document["components"]["schemas"]) if scope else "",
    )


def _body(media_type: str, schema: Json) -> Body:
    return Body(media_type, type_of(schema), [*_properties(schema)])


def _answer(status: str, about: Json) -> Answer:
    content = about.get("content", {})
    first: Json = next(iter(content.values()), {})
    examples = (part["example"] for part in content.values() if "example" in part)
    phrase = HTTPStatus(int(status)).phrase
    said = about.get("description", "")
    return Answer(
        status=status,
        phrase=phrase,
        description=inline("" if said == phrase else said),
        media_types=[*content],
        type=type_of(first.get("schema", {})),
        example=_written(next(examples, ""), indent=2 if status < "400" else None),
    )


def _written(example: Any, indent: int | None = None) -> str:
    if isinstance(example, str):
        return example
    return json.dumps(example, indent=indent, ensure_ascii=False)


# --- Fields and their types ---------------------------------------------------------------------


def _parameter(about: Json) -> Field:
    return _field(about["name"], about["schema"] | about, about.get("required"), about["in"])


def _properties(schema: Json) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, about in schema.get("properties", {}).items():
        yield _field(name, about, name in required)


def _field(name: str, about: Json, is_required: object, place: str = "") -> Field:
    default = about.get("default")
    return Field(
        name=name,
        place=place,
        type=type_of(about.get("schema", about)),
        description=inline(about.get("description", "")),
        default="" if default in (None, "", []) else _written(default).strip('"'),
        is_required=bool(is_required),
    )


def type_of(schema: Json) -> SafeString:
    """For people: `string (uuid)`, `number or null`, `array of` a linked name."""
    if "$ref" in schema:
        name = _name_of(schema)
        return format_html('<a href="#schema-{}">{}</a>', name, name)
    if "anyOf" in schema:
        return format_html_join(" or ", "{}", ((type_of(part),) for part in schema["anyOf"]))
    if "enum" in schema:
        return format_html_join(", ", "<code>{}</code>", ((value,) for value in schema["enum"]))
    if schema.get("type") == "array":
        return format_html("array of {}", type_of(schema.get("items", {})))
    form = schema.get("format")
    return format_html("{} ({})" if form else "{}", schema.get("type", ""), form)


def _name_of(reference: Json) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]
