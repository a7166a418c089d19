"""Script elements for JavaScript modules."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

register = template.Library()

IMPORT = re.compile(r'^(?:import|export|\}).*?"(\.[^"]+)";$', re.MULTILINE)


@register.simple_tag
def modules(*names: str) -> SafeString:
    """Elements for the head of a page that load and run these modules, in this order.

    Whatever they import is requested at the same time. Without the links, a browser learns of each
    level of imports only when it has loaded the level above.
    """
    scripts = format_html_join(
        "\n  ", '<script type="module" src="{}"></script>', ((static(name),) for name in names)
    )
    links = format_html_join(
        "\n  ", '<link rel="modulepreload" href="{}">', ((static(n),) for n in imported_by(*names))
    )
    return SafeString("\n  ".join(filter(None, (links, scripts))))


def imported_by(*names: str) -> list[str]:
    """The static files that these modules import, directly and indirectly, sorted."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        new = set(_imports(waiting.pop())) - found
        found |= new
        waiting += new
    return sorted(found - set(names))


@cache
def _imports(name: str) -> Iterable[str]:
    path = finders.find(name)
    if path is None:
        raise template.TemplateSyntaxError(f"There is no static file {name}.")
    folder = posixpath.dirname(name)
    return [
        posixpath.normpath(posixpath.join(folder, target))
        for target in IMPORT.findall(Path(path).read_text(encoding="utf-8"))
    ]
