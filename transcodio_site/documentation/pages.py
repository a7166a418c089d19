"""All documents in memory: which there are, in which order, and how they link to each other.

`docs/README.md` decides: its headings are the groups of the menu, and its lists are the pages.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString

from transcodio_site.documentation.rendering import Image, Section, Site, render

INDEX = "docs/README.md"
IMAGES = {".png": "image/png", ".svg": "image/svg+xml"}
ENTRY = re.compile(r"^- \[(?P<title>[^]]+)\]\((?P<target>[^)]+)\): (?P<summary>.+)$")
PNG_SIZE = struct.Struct(">16xII")  # width and height follow the signature and the chunk's head
SVG_SIZE = re.compile(r'<svg[^>]* width="(\d+)" height="(\d+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """One document."""

    path: str  # in the repository
    name: str  # in its URL
    title: str
    summary: str
    group: str
    html: SafeString = field(default_factory=SafeString)
    sections: tuple[Section, ...] = ()

    @property
    def url(self) -> str:
        """On the site."""
        return reverse("docs:page", args=[self.name]) if self.name else reverse("docs:index")

    @property
    def contents(self) -> list[Section]:
        """Its table of contents."""
        return [section for section in self.sections if section.level in (2, 3)]


@dataclass(frozen=True, slots=True)
class Documentation:
    """All documents, in the order of the menu."""

    index: Page
    pages: tuple[Page, ...]
    images: dict[str, Path]  # by name

    @property
    def groups(self) -> dict[str, list[Page]]:
        """The menu."""
        found: dict[str, list[Page]] = {}
        for page in self.pages:
            found.setdefault(page.group, []).append(page)
        return found

    def find(self, name: str) -> Page | None:
        """The page of that name."""
        return next((page for page in self.pages if page.name == name), None)

    def neighbors(self, page: Page) -> tuple[Page | None, Page | None]:
        """The previous and the next page."""
        at = self.pages.index(page)
        before = self.pages[at - 1] if at else None
        return before, self.pages[at + 1] if at + 1 < len(self.pages) else None


def documentation() -> Documentation:
    """All documents, read at the first call; with DEBUG, at every call."""
    if settings.DEBUG:
        _load.cache_clear()
    return _load()


@cache
def _load() -> Documentation:
    images = {
        path.name: path
        for path in sorted((settings.BASE_DIR / "docs").iterdir())
        if path.suffix in IMAGES
    }
    outlines = list(_outlines())
    urls = {page.path: page.url for page in (*outlines, _index())}
    rendered = [_rendered(page, urls, images) for page in (_index(), *outlines)]
    return Documentation(rendered[0], tuple(rendered[1:]), images)


def _index() -> Page:
    return Page(INDEX, "", "Documentation", "", "")


def _outlines() -> Iterator[Page]:
    """The pages without their content, as the index lists them."""
    group = ""
    for line in _source(INDEX).splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif entry := ENTRY.match(line):
            path = normpath(join(dirname(INDEX), entry["target"]))
            yield Page(path, Path(path).stem.lower(), entry["title"], entry["summary"], group)


def _rendered(page: Page, urls: dict[str, str], images: dict[str, Path]) -> Page:
    def link(target: str) -> str:
        path, mark, anchor = target.partition("#")
        return urls.get(normpath(join(dirname(page.path), path)), path) + mark + anchor

    def image(target: str) -> Image | None:
        found = images.get(Path(target).name)
        if found is None:
            return None
        return Image(reverse("docs:image", args=[found.name]), *_size(found))

    result = render(_source(page.path), Site(settings.SITE_URL, link, image))
    return replace(page, html=result.html, sections=result.sections)


def _source(path: str) -> str:
    text: str = (settings.BASE_DIR / path).read_text(encoding="utf-8")
    return text


def _size(image: Path) -> tuple[int, int]:
    """Width and height in pixels."""
    if image.suffix == ".png":
        width, height = PNG_SIZE.unpack_from(image.read_bytes())
        return width, height
    found = SVG_SIZE.search(image.read_text(encoding="utf-8"))
    return (int(found[1]), int(found[2])) if found else (0, 0)
