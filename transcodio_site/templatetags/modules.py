"""Script elements for JavaScript modules."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from transcodio_site.static_files import imported_by

register = template.Library()


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
