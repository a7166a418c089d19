"""Subtitles as TTML, in the text profile of IMSC 1.1 (https://www.w3.org/TR/ttml-imsc1.1/).

Imports no Django.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.subtitles import (
    cues_of,
    is_right_to_left,
    one_line,
    plain_lines,
    timestamp,
)
from transcriptions.exports.transcript import Transcript, language_tag

NAMESPACES = {
    "": "http://www.w3.org/ns/ttml",
    "ttp": "http://www.w3.org/ns/ttml#parameter",
    "tts": "http://www.w3.org/ns/ttml#styling",
    "ttm": "http://www.w3.org/ns/ttml#metadata",
}
PROFILE = "http://www.w3.org/ns/ttml/profile/imsc1.1/text"
for prefix, uri in NAMESPACES.items():
    ET.register_namespace(prefix, uri)

XML = "{http://www.w3.org/XML/1998/namespace}"
REGIONS = {
    "bottom": {"tts:origin": "10% 60%", "tts:displayAlign": "after"},
    "top": {"tts:origin": "10% 8%", "tts:displayAlign": "before"},
}
REGION = {
    "tts:extent": "80% 32%",
    "tts:textAlign": "center",
    "tts:showBackground": "whenActive",
}
TEXT = {
    "tts:fontFamily": "proportionalSansSerif",
    "tts:fontSize": "100%",  # of a fifteenth of the height
    "tts:lineHeight": "125%",
    "tts:color": "white",
    "tts:backgroundColor": "#000000c0",
}
RIGHT_TO_LEFT = {"tts:direction": "rtl", "tts:unicodeBidi": "embed"}


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as TTML."""
    return ttml(cues_of(transcript, options), transcript, options)


def ttml(
    cues: Iterable[Cue], transcript: Transcript, options: ExportOptions = DEFAULT_OPTIONS
) -> bytes:
    """Times are frames if there is a frame rate, and speakers are agents."""
    cues = [*cues]
    root = ET.Element(
        _name("tt"),
        {
            XML + "lang": language_tag(transcript.language),
            _name("ttp:contentProfiles"): PROFILE,
            _name("ttp:timeBase"): "media",
            **_frame_rate(options),
        },
    )
    agents = _head(root, cues, transcript.title, options)
    division = _add(_add(root, "body"), "div", {"style": "text"})
    division.text = "\n"
    for cue in cues:
        _paragraph(division, cue, agents, options)
    content: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content + b"\n"


def _head(
    root: ET.Element, cues: Iterable[Cue], title: str, options: ExportOptions
) -> dict[str, str]:
    """Returns the identifiers of the speakers."""
    head = _add(root, "head")
    metadata = _add(head, "metadata")
    _add(metadata, "ttm:title").text = one_line(title)
    names = (line.speaker for cue in cues for line in cue.lines if line.speaker)
    speakers = dict.fromkeys(names) if options.speakers else {}
    agents = {speaker: f"speaker{number}" for number, speaker in enumerate(speakers, 1)}
    for speaker, identifier in agents.items():
        agent = _add(metadata, "ttm:agent", {XML + "id": identifier, "type": "person"})
        _add(agent, "ttm:name", {"type": "full"}).text = one_line(speaker)
    _add(_add(head, "styling"), "style", {XML + "id": "text", **TEXT})
    region = _region(options)
    _add(_add(head, "layout"), "region", {XML + "id": region, **REGIONS[region], **REGION})
    return agents


def _paragraph(
    division: ET.Element, cue: Cue, agents: dict[str, str], options: ExportOptions
) -> None:
    times = {"begin": _time(cue.start, options), "end": _time(cue.end, options)}
    direction = RIGHT_TO_LEFT if is_right_to_left(cue.text) else {}
    paragraph = _add(division, "p", {"region": _region(options), **times, **direction})
    paragraph.tail = "\n"
    for line in cue.lines:
        agent = {"ttm:agent": agents[line.speaker]} if line.speaker in agents else {}
        for text in plain_lines(line.text):
            if len(paragraph):
                _add(paragraph, "br")
            _add(paragraph, "span", agent).text = text


def _region(options: ExportOptions) -> str:
    return "top" if options.top else "bottom"


def _frame_rate(options: ExportOptions) -> dict[str, str]:
    """24000/1001 is 24 with the multiplier 1000/1001."""
    if not options.frame_rate:
        return {}
    rate = Fraction(options.frame_rate).limit_denominator(1001)
    multiplier = rate / math.ceil(rate)
    rates = {_name("ttp:frameRate"): str(math.ceil(rate))}
    if multiplier != 1:
        ratio = f"{multiplier.numerator} {multiplier.denominator}"
        rates[_name("ttp:frameRateMultiplier")] = ratio
    return rates


def _time(seconds: float, options: ExportOptions) -> str:
    """Frames are counted, because HH:MM:SS:FF is ambiguous if a second is not a whole number of
    frames."""
    if options.frame_rate:
        return f"{round(seconds * options.frame_rate)}f"
    return timestamp(seconds, ".")


def _add(parent: ET.Element, name: str, attributes: dict[str, str] | None = None) -> ET.Element:
    named = {_name(key) if ":" in key else key: text for key, text in (attributes or {}).items()}
    return ET.SubElement(parent, _name(name), named)


def _name(name: str) -> str:
    """The name with its namespace, as ElementTree writes it."""
    prefix, _colon, local = name.rpartition(":")
    return name if name.startswith("{") else f"{{{NAMESPACES[prefix]}}}{local}"
