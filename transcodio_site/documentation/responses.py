"""How pages of the documentation are answered: the same for everybody, so caches may keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control, set_response_etag

from transcodio_site import __version__
from transcodio_site.documentation.pages import documentation

MAX_AGE = 300  # seconds


def public_page(template: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """A page without anything of the visitor in it: it is rendered without the request."""
    shared = {"groups": documentation().groups, "version": __version__}
    content = render_to_string(template, {**shared, **context})
    return public(HttpResponse(content, status=status))


def public(response: HttpResponse) -> HttpResponse:
    """Allows caches to keep it, and to ask whether it has changed."""
    patch_cache_control(response, public=True, max_age=MAX_AGE)
    set_response_etag(response)
    return response
