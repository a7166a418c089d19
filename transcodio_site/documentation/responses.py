"""Responses with documentation pages: the same for all visitors, so that caches may store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control, set_response_etag

from transcodio_site import __version__
from transcodio_site.documentation.pages import documentation

MAX_AGE_S = 300


def public_page(template: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """A page that does not depend on the visitor: it is rendered without the request."""
    shared = {"groups": documentation().groups, "version": __version__}
    content = render_to_string(template, {**shared, **context})
    return public(HttpResponse(content, status=status))


def public(response: HttpResponse) -> HttpResponse:
    """Allow caches to store the response and to revalidate it."""
    patch_cache_control(response, public=True, max_age=MAX_AGE_S)
    set_response_etag(response)
    return response
