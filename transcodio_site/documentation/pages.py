"""All documents in memory, in the order of the menu.

`docs/README.md` defines the menu: its headings are the groups, and its lists are the pages.
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
PNG_SIZE = struct.Struct(">16xII")  # width and height, after the signature and the chunk header
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
        """The URL on the site."""
        return reverse("docs:page", args=[self.name]) if self.name else reverse("docs:index")

    @property
    def contents(self) -> list[Section]:
        """The table of contents: headings of levels 2 and 3."""
        return [section for section in self.sections if section.level in (2, 3)]


@dataclass(frozen=True, slots=True)
class Documentation:
    """All documents, in the order of the menu."""

    index: Page
    pages: tuple[Page, ...]
    images: dict[str, Path]  # by name
    json_schemas: dict[str, Path]  # by name

    @property
    def groups(self) -> dict[str, list[Page]]:
        """The pages of each group of the menu."""
        groups: dict[str, list[Page]] = {}
        for page in self.pages:
            groups.setdefault(page.group, []).append(page)
        return groups

    def find(self, name: str) -> Page | None:
        """The page with that name, or None."""
        return next((page for page in self.pages if page.name == name), None)

    def neighbors(self, page: Page) -> tuple[Page | None, Page | None]:
        """The previous and the next page."""
        index = self.pages.index(page)
        before = self.pages[index - 1] if index else None
        return before, self.pages[index + 1] if index + 1 < len(self.pages) else None


def documentation() -> Documentation:
    """All documents, read on the first call; with DEBUG, on every call."""
    if settings.DEBUG:
        _load.cache_clear()
    return _load()


@cache
def _load() -> Documentation:
    images = {
        path.name: path
        for pattern in ("*", "screenshots/*")
        for path in sorted((settings.BASE_DIR / "docs").glob(pattern))
        if path.suffix in IMAGES
    }
    outlines = list(_outlines())
    json_schemas = _json_schemas()
    urls = {page.path: page.url for page in (*outlines, _index())}
    urls |= {f"docs/schemas/{name}": f"/schemas/{name}" for name in json_schemas}
    rendered = [_rendered(page, urls, images) for page in (_index(), *outlines)]
    return Documentation(rendered[0], tuple(rendered[1:]), images, json_schemas)


def _json_schemas() -> dict[str, Path]:
    return {path.name: path for path in (settings.BASE_DIR / "docs" / "schemas").glob("*.json")}


def _index() -> Page:
    return Page(INDEX, "", "Documentation", "", "")


def _outlines() -> Iterator[Page]:
    """The pages that the index lists, without their content."""
    group = ""
    for line in _source(INDEX).splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif entry := ENTRY.match(line):
            path = normpath(join(dirname(INDEX), entry["target"]))
            yield Page(path, Path(path).stem.lower(), entry["title"], entry["summary"], group)


def _rendered(page: Page, urls: dict[str, str], images: dict[str, Path]) -> Page:
    def link(target: str) -> str:
        path, separator, anchor = target.partition("#")
        return urls.get(normpath(join(dirname(page.path), path)), path) + separator + anchor

    def image(target: str) -> Image | None:
        image_path = images.get(Path(target).name)
        if image_path is None:
            return None
        return Image(reverse("docs:image", args=[image_path.name]), *_size(image_path))

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
    match = SVG_SIZE.search(image.read_text(encoding="utf-8"))
    return (int(match[1]), int(match[2])) if match else (0, 0)
