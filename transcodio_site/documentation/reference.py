"""The API reference at /api/docs: the OpenAPI document as a page of the site."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from ninja import NinjaAPI
from ninja.responses import NinjaJSONEncoder

from transcodio_site.documentation.curl import curl
from transcodio_site.documentation.rendering import inline

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a property of an object."""

    name: str
    location: str  # path, query or header; empty for a property
    type: SafeString
    description: SafeString
    default: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Body:
    """A request body in one media type."""

    media_type: str
    type: SafeString
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Response:
    """The response of an operation with one status."""

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
    scope: str  # empty: API tokens are not accepted
    parameters: list[Field]
    bodies: list[Body]
    responses: list[Response]
    errors: list[Response]
    curl: str

    @property
    def name(self) -> str:
        """Method and path, as in the headings."""
        return f"{self.method} {self.path}"

    @property
    def short_path(self) -> str:
        """The path for narrow lists, without `/api` and with `{id}` for any id."""
        return re.sub(r"{\w+_id}", "{id}", self.path.removeprefix("/api"))

    @property
    def summary(self) -> SafeString:
        """The description as HTML."""
        return inline(self.text)


@dataclass(frozen=True, slots=True)
class Schema:
    """A named type that operations take or return: an object, or a choice of values."""

    name: str
    description: SafeString
    type: SafeString
    fields: list[Field]


@cache
def document_of(api: NinjaAPI) -> Json:
    """The OpenAPI document as programs read it."""
    document: Json = json.loads(json.dumps(api.get_openapi_schema(), cls=NinjaJSONEncoder))
    return document


@cache
def operations_of(api: NinjaAPI) -> list[Operation]:
    """All operations except HEAD, in the order of the document."""
    document = document_of(api)
    return [
        _operation(method.upper(), path, details, document)
        for path, methods in document["paths"].items()
        for method, details in methods.items()
        if method != "head"
    ]


def schemas_of(api: NinjaAPI) -> list[Schema]:
    """The schemas of responses and request bodies."""
    document = document_of(api)
    used = _used_names(document)
    return [
        Schema(
            name, inline(details.get("description", "")), type_of(details), [*_properties(details)]
        )
        for name, details in sorted(document["components"]["schemas"].items())
        if name in used
    ]


def _used_names(document: Json) -> set[str]:
    """Names of schemas that the operations or other used schemas refer to."""
    schemas = document["components"]["schemas"]
    used: set[str] = set()
    pending = [*_references(document["paths"])]
    while pending:
        if (name := pending.pop()) not in used:
            used.add(name)
            pending.extend(_references(schemas[name]))
    return used


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield _name_of(part)
        part = part.values()
    if not isinstance(part, str) and isinstance(part, Iterable):
        for inner in part:
            yield from _references(inner)


def _operation(method: str, path: str, details: Json, document: Json) -> Operation:
    content = details.get("requestBody", {}).get("content", {})
    responses = [_response(*item) for item in sorted(details["responses"].items())]
    scope = details.get("x-required-scope", "")
    return Operation(
        method=method,
        path=path,
        anchor=details["operationId"],
        text=str(details.get("description", details["summary"])),
        scope=scope,
        parameters=[_parameter(parameter) for parameter in details["parameters"]],
        bodies=[_body(media_type, part["schema"]) for media_type, part in content.items()],
        responses=[response for response in responses if response.status < "400"],
        errors=[response for response in responses if response.status >= "400"],
        curl=curl(method, path, details, document["components"]["schemas"]) if scope else "",
    )


def _body(media_type: str, schema: Json) -> Body:
    return Body(media_type, type_of(schema), [*_properties(schema)])


def _response(status: str, details: Json) -> Response:
    content = details.get("content", {})
    first: Json = next(iter(content.values()), {})
    examples = (part["example"] for part in content.values() if "example" in part)
    phrase = HTTPStatus(int(status)).phrase
    description = details.get("description", "")
    return Response(
        status=status,
        phrase=phrase,
        description=inline("" if description == phrase else description),
        media_types=[*content],
        type=type_of(first.get("schema", {})),
        example=_format_example(next(examples, ""), indent=2 if status < "400" else None),
    )


def _format_example(example: Any, indent: int | None = None) -> str:
    if isinstance(example, str):
        return example
    return json.dumps(example, indent=indent, ensure_ascii=False)


# --- Fields and their types ---------------------------------------------------------------------


def _parameter(details: Json) -> Field:
    return _field(
        details["name"], details["schema"] | details, details.get("required"), details["in"]
    )


def _properties(schema: Json) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, details in schema.get("properties", {}).items():
        yield _field(name, details, name in required)


def _field(name: str, details: Json, is_required: object, location: str = "") -> Field:
    default = details.get("default")
    return Field(
        name=name,
        location=location,
        type=type_of(details.get("schema", details)),
        description=inline(details.get("description", "")),
        default="" if default in (None, "", []) else _format_example(default).strip('"'),
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
        values = ((value,) for value in schema["enum"] if value != "")
        listed = format_html_join(", ", "<code>{}</code>", values)
        return format_html("{} or empty", listed) if "" in schema["enum"] else listed
    if schema.get("type") == "array":
        return format_html("array of {}", type_of(schema.get("items", {})))
    string_format = schema.get("format")
    return format_html("{} ({})" if string_format else "{}", schema.get("type", ""), string_format)


def _name_of(reference: Json) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]
