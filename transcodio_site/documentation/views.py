"""The public pages below /docs/."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from transcodio_site.api import api
from transcodio_site.documentation.pages import IMAGES, Documentation, Page, documentation
from transcodio_site.documentation.reference import operations_of, schemas_of
from transcodio_site.documentation.responses import public, public_page
from transcodio_site.documentation.search import MAX_QUERY_CHARS, Entry, search


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The index: all pages with a summary."""
    return public_page("docs/page.html", {"page": documentation().index})


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """One document."""
    documents = documentation()
    document = documents.find(name)
    if document is None:
        raise Http404
    before, after = documents.neighbors(document)
    return public_page("docs/page.html", {"page": document, "before": before, "after": after})


@require_safe
def image(request: HttpRequest, name: str) -> HttpResponse:
    """An image of a document. Names are looked up, never joined to a path."""
    path = documentation().images.get(name)
    if path is None:
        raise Http404
    return public(HttpResponse(path.read_bytes(), content_type=IMAGES[path.suffix]))


@require_safe
def json_schema(request: HttpRequest, name: str) -> HttpResponse:
    """The JSON Schema of a file format. Names are looked up, never joined to a path."""
    path = documentation().json_schemas.get(name)
    if path is None:
        raise Http404
    return public(HttpResponse(path.read_bytes(), content_type="application/schema+json"))


@require_safe
def search_page(request: HttpRequest) -> HttpResponse:
    """Sections with all words of `q`."""
    query = request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY_CHARS]
    results = search(_entries(documentation()), query)
    return public_page("docs/search.html", {"query": query, "results": results})


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document as a page of the site. It replaces Swagger UI and needs no script."""
    context = {
        "operations": operations_of(api),
        "schemas": schemas_of(api),
        "base_url": settings.SITE_URL,
    }
    return public_page("docs/reference.html", context)


def _entries(documents: Documentation) -> Iterator[Entry]:
    for document in documents.pages:
        yield from _sections(document)
    for operation in operations_of(api):
        names = " ".join(field.name for field in operation.parameters)
        text = f"{operation.text} {names}"
        yield Entry("API reference", operation.name, text, f"/api/docs#{operation.anchor}")


def _sections(document: Page) -> Iterator[Entry]:
    for section in document.sections:
        url = f"{document.url}#{section.anchor}" if section.anchor else document.url
        yield Entry(document.title, section.heading, section.text, url)
