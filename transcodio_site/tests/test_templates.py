"""Every text that a template shows is marked for translation, and no template formats a date."""

from __future__ import annotations

import gettext
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings

TEMPLATES = Path(settings.BASE_DIR) / "templates"
# Names, units and examples of code, the same in every language.
UNTRANSLATED = {"Transcodio", "Authorization: Bearer tk_…", "min", "USD"}
# Attributes that are shown or read aloud.
TEXT_ATTRIBUTES = ("alt", "aria-label", "placeholder", "title")
TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
TRANSLATED = re.compile(r"\{% blocktranslate.*?\{% endblocktranslate %\}", re.DOTALL)
CLASSES = re.compile(r"\{% block main_class %\}.*?\{% endblock %\}")

templates = pytest.mark.parametrize(
    "path",
    sorted(path for path in TEMPLATES.rglob("*.*") if path.is_file()),
    ids=lambda path: str(path.relative_to(TEMPLATES)),
)


class Texts(HTMLParser):
    """Collects visible texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for name, value in attrs if name in TEXT_ATTRIBUTES]

    def handle_data(self, data: str) -> None:
        self.texts += data.split("\n")


@templates
def test_texts_are_marked_for_translation(path: Path) -> None:
    parser = Texts()
    parser.feed(TAG.sub("", CLASSES.sub("", TRANSLATED.sub("", path.read_text()))))
    candidates = [text for text in parser.texts if re.search("[A-Za-z]{2}", text)]
    words = {text.strip(" ·\N{EN DASH}:,.") for text in candidates}
    assert words - UNTRANSLATED == set()


@templates
def test_dates_have_one_style(path: Path) -> None:
    assert not re.search(r"\|(date|time|naturaltime|timesince):?", path.read_text())


def test_dates_of_scripts_have_one_style() -> None:
    scripts = (Path(settings.BASE_DIR) / "static/js").glob("*.js")
    formatting = re.compile(r"DateTimeFormat|dateStyle|toLocale(Date|Time)String")
    assert [path.name for path in scripts if formatting.search(path.read_text())] == ["dates.js"]


def test_english_catalog_is_compiled() -> None:
    folder = Path(settings.BASE_DIR) / "transcodio_site/locale/en/LC_MESSAGES"
    source = (folder / "django.po").read_text()
    with (folder / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    entries = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', source, re.MULTILINE)
    assert len(entries) > 80
    for msgid, msgstr in entries:
        assert compiled.gettext(msgid.replace('\\"', '"')) == msgstr.replace('\\"', '"')
