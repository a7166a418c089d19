"""Markdown to HTML: headings with anchors, code with a copy button, tables that fit on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

EXAMPLE_URL = "http://127.0.0.1:8000"  # the server in the examples of the documents
RUNNABLE = ("sh", "python")
# Rendered as links in inline code.
SITE_PATHS = ("/api/docs", "/api/openapi.json", "/docs/", "/admin/")
PUNCTUATION = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    level: int
    heading: str
    anchor: str  # empty for the title of the page
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """The URL of an image on the site, and its size in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Site:
    """The site that shows a document: its URL, and functions that resolve links and images."""

    url: str
    link: Callable[[str], str]  # from a target in the document to one on the site
    image: Callable[[str], Image | None]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered document."""

    html: SafeString
    sections: tuple[Section, ...]


def render(source: str, site: Site) -> Rendered:
    """The document as HTML, and its sections for the table of contents and for search."""
    parser = _parser()
    tokens = parser.parse(source)
    anchors = list(_anchors(tokens))
    _label_cells(tokens)
    for token in _flat(tokens):
        if token.type == "link_open":
            token.attrSet("href", site.link(str(token.attrGet("href"))))
    html = parser.renderer.render(tokens, parser.options, {"site": site})
    return Rendered(_trusted(html), tuple(_sections(tokens, anchors)))


def inline(text: str) -> SafeString:
    """Render inline Markdown, without a paragraph element."""
    return _trusted(_parser().renderInline(text))


def _trusted(html: str) -> SafeString:
    # The parser escapes all HTML of its source, which is a file of this repository.
    return mark_safe(html)  # noqa: S308


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name, rule in RULES.items():
        parser.add_render_rule(name, rule)
    return parser


def _flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or ())


# --- Sections -----------------------------------------------------------------------------------


def _anchors(tokens: list[Token]) -> Iterator[str]:
    """Give every heading below the title an id like GitHub's. Yield the ids in order."""
    counts: dict[str, int] = {}
    for token, content in pairwise(tokens):
        if token.type != "heading_open":
            continue
        if token.tag == "h1":
            yield ""
            continue
        slug = PUNCTUATION.sub("", _plain(content).lower()).replace(" ", "-")
        number = counts[slug] = counts.get(slug, -1) + 1
        anchor = f"{slug}-{number}" if number else slug
        token.attrSet("id", anchor)
        yield anchor


def _label_cells(tokens: list[Token]) -> None:
    """Label every cell with the heading of its column, for the stacked layout of narrow screens."""
    headings: list[str] = []
    column = 0
    for token, content in pairwise(tokens):
        if token.type == "table_open":
            headings = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            token.attrSet("scope", "col")
            headings.append(_plain(content))
        elif token.type == "td_open":
            token.attrSet("data-label", headings[column])
            column += 1


def _sections(tokens: list[Token], anchors: list[str]) -> Iterator[Section]:
    starts = [n for n, token in enumerate(tokens) if token.type == "heading_open"]
    for start, end, anchor in zip(starts, [*starts[1:], len(tokens)], anchors, strict=True):
        body = (_plain(token) for token in tokens[start + 3 : end] if token.content)
        heading = _plain(tokens[start + 1])
        yield Section(int(tokens[start].tag[1]), heading, anchor, " ".join(body))


def _plain(token: Token) -> str:
    """The text of a token, without markup."""
    if token.children is None:
        return " ".join(token.content.split())
    return "".join(
        "\n" if child.type == "softbreak" else child.content for child in token.children
    ).replace("\n", " ")


# --- HTML ---------------------------------------------------------------------------------------


def _code(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    language, code = tokens[index].info.strip(), tokens[index].content
    if language in RUNNABLE:
        code = code.replace(EXAMPLE_URL, env["site"].url)
    return code_block(code, can_copy=language != "text")


def _code_inline(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    content = escape(tokens[index].content)
    code = f"<code>{content}</code>"
    return f'<a href="{content}">{code}</a>' if content in SITE_PATHS else code


def code_block(code: str, can_copy: bool = True) -> str:
    """A code block that can be scrolled by keyboard, with a copy button if scripts run."""
    block = f'<pre tabindex="0"><code>{escape(code)}</code></pre>'
    return f"<copy-code>{block}</copy-code>\n" if can_copy else f"{block}\n"


def _table_open(*_: Any) -> str:
    return '<div class="docs-table" role="group" aria-label="Table" tabindex="0"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    alt, target = escape(token.content), str(token.attrGet("src"))
    image = env["site"].image(target)
    if image is None:
        return alt
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{escape(image.url)}" alt="{alt}" {size} loading="lazy">'


RULES: dict[str, Callable[..., str]] = {
    "fence": _code,
    "code_inline": _code_inline,
    "table_open": _table_open,
    "table_close": _table_close,
    "image": _image,
}
