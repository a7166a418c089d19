"""The fonts of PDF documents, from packages that only have fonts. Imports no Django."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import uharfbuzz as harfbuzz

from transcriptions.exports.reading import MissingFontError
from transcriptions.exports.symbols import JOINER, joins_only_emoji, replaceable, replacement

SCRIPTS = (
    "Armenian",
    "Bengali",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Gujarati",
    "Gurmukhi",
    "Hebrew",
    "Kannada",
    "Khmer",
    "Lao",
    "Malayalam",
    "Myanmar",
    "Oriya",
    "Sinhala",
    "Tamil",
    "Telugu",
    "Thai",
)
# The faces of Noto Sans CJK, which draw some characters differently.
CJK_FACES = {"ja": 0, "ko": 1, "zh": 2, "yue": 4}
REGULAR, BOLD = 400, 700  # weights
_SMILE = 0x1F600  # which only the emoji font has
MAX_NAMED = 3  # characters in an error


@dataclass(frozen=True, slots=True)
class Font:
    """A face of a font file for each weight, and the code points that they have."""

    faces: dict[int, harfbuzz.Face]
    characters: frozenset[int]

    def subset(self, text: str, weight: int) -> bytes:
        """A font file of one weight with those characters of a text that it has."""
        face = self.faces[weight]
        options = harfbuzz.SubsetInput()
        options.unicode_set.update(self.characters.intersection(map(ord, _with_parts(text))))
        if "fvar" in face.table_tags:
            options.pin_axis_location(face, "wght", weight)
        options.flags = harfbuzz.SubsetFlags.DOWNGRADE_CFF2  # fpdf2 does not read CFF 2
        return bytes(harfbuzz.subset(face, options).blob.data)


def _with_parts(text: str) -> str:
    """The text, with the parts into which HarfBuzz may divide characters, such as the Thai vowel
    am, and those that it may add: the left half of Khmer vowels, and the dotted circle."""
    return f"{text}{unicodedata.normalize('NFKD', text)}\u17c1\u25cc"


def fonts_for(text: str, language: str) -> list[Font]:
    """The fonts that are needed for all characters of a text; first the one that has most of its
    characters. Raises MissingFontError."""
    missing = Counter(map(ord, text))
    # An emoji is drawn as one if all of its characters are in one font.
    is_emoji_font_only = joins_only_emoji(text)
    found = list[tuple[int, Font]]()
    for font in _fonts(language):
        if is_emoji_font_only and _SMILE not in font.characters:
            font = replace(font, characters=font.characters - {ord(JOINER)})
        if covered := missing.keys() & font.characters:
            found.append((sum(missing.pop(code_point) for code_point in covered), font))
        if not missing:
            return [font for _, font in sorted(found, key=lambda pair: -pair[0])]
    raise MissingFontError([chr(code_point) for code_point in missing][:MAX_NAMED])


def replacements(text: str, language: str) -> dict[int, str]:
    """Replacements for symbols that no font has, by code point. Letters are not replaced."""
    missing = replaceable(text)
    for font in _fonts(language) if missing else ():
        missing -= font.characters
    return {code_point: replacement(code_point) for code_point in missing}


def _fonts(language: str) -> Iterator[Font]:
    """All fonts, each read only when it is needed."""
    noto = _folder("manimgx_fonts")
    yield _variable(noto / "NotoSans[wght].ttf")
    yield _plex_arabic()
    for script in SCRIPTS:
        yield _variable(noto / f"NotoSans{script}[wght].ttf")
    number = CJK_FACES.get(language, CJK_FACES["zh"])
    yield _variable(_folder("manimgx_fonts_cjk") / "NotoSansCJK-VF.otf.ttc", number)
    yield _variable(noto / "NotoSansSymbols[wght].ttf")
    yield _variable(noto / "NotoEmoji[wght].ttf")


def _variable(path: Path, number: int = 0) -> Font:
    """A font with all weights in one face."""
    face = _face(path, number)
    return Font({REGULAR: face, BOLD: face}, frozenset(face.unicodes))


def _plex_arabic() -> Font:
    """Noto Sans Arabic draws the dots of letters as glyphs of their own, which programs that copy
    text from a PDF mistake for spaces."""
    files = _folder("fontpkg_ibm_plex_sans_arabic") / "files"
    regular, bold = (_face(files / f"IBMPlexSansArabic-{name}.ttf") for name in ("Regular", "Bold"))
    return Font({REGULAR: regular, BOLD: bold}, frozenset(regular.unicodes) & {*bold.unicodes})


def _face(path: Path, number: int = 0) -> harfbuzz.Face:
    return harfbuzz.Face(harfbuzz.Blob.from_file_path(path), number)


def _folder(package: str) -> Path:
    """The folder in which a package that only has fonts is installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent
