"""Markers for video editors: a timeline of OpenTimelineIO. Imports no Django.

https://opentimelineio.readthedocs.io/en/stable/tutorials/otio-serialized-schema.html
"""

from __future__ import annotations

import json
import math
from typing import Any

from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import one_line
from transcriptions.exports.tables import parts
from transcriptions.exports.transcript import Transcript

DEFAULT_FRAME_RATE = 24.0
COLORS = ("BLUE", "RED", "YELLOW", "PURPLE", "GREEN", "ORANGE", "CYAN", "PINK")


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """A timeline as long as the recording, with a marker for each segment, or for each turn if it
    has several speakers. The text is the name of the marker, the speaker its comment and color."""
    rate = options.frame_rate or DEFAULT_FRAME_RATE
    colors = dict[str, str]()
    markers = list[dict[str, Any]]()
    for part in parts(transcript):
        speaker = one_line(part.speaker) if options.speakers else ""
        marker = {
            "name": one_line(part.text),
            "color": colors.setdefault(speaker, COLORS[len(colors) % len(COLORS)]),
            "comment": speaker,
            "marked_range": _range(part.start, part.end, rate),
        }
        markers.append(_object("Marker.2", **marker))
    end = max([options.time(transcript.duration), *(part.end for part in parts(transcript))])
    gap = _object("Gap.1", source_range=_range(0.0, end, rate))
    track = _object("Track.1", name=transcript.title, kind="Audio", children=[gap])
    stack = _object("Stack.1", name="tracks", markers=markers, children=[track])
    timeline = _object("Timeline.1", name=transcript.title, tracks=stack)
    return (json.dumps(timeline, ensure_ascii=False, indent=2) + "\n").encode()


def _object(schema: str, **fields: Any) -> dict[str, Any]:
    return {"OTIO_SCHEMA": schema, "metadata": {}} | fields


def _range(start: float, end: float, rate: float) -> dict[str, Any]:
    """The range in whole frames, at least one."""
    first, last = math.floor(start * rate + 1e-6), math.ceil(end * rate - 1e-6)
    times = {"start_time": first, "duration": max(1, last - first)}
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        **{
            name: {"OTIO_SCHEMA": "RationalTime.1", "value": float(value), "rate": rate}
            for name, value in times.items()
        },
    }
