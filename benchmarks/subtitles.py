"""Measure subtitles: python -m benchmarks.subtitles [--write] [FILE ...]

Transcribe English speech (the sample with Debian's prompts, or any files) and shape its words with
each profile: the share of the cues that follow all of its rules, and which rules the others break.
For comparison, the same with one cue per segment, as in services without shaping.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import speech
from benchmarks.whisper import LANGUAGE, prepared
from gpu.types import Segment
from gpu.whisper import WhisperEngine
from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.norms import violations
from transcriptions.exports.profiles import DEFAULT_PROFILE, PROFILES
from transcriptions.exports.shaping import shape
from transcriptions.exports.transcript import TimedWord

RESULTS = Path(__file__).parent / "results" / "subtitles.json"
MIN_PROMPT_WORDS = 4
GOAL = 0.99


def main() -> None:
    """Print a table for each recording; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subtitles")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    result = [_measure(name, recording) for name, recording in _recordings(arguments.files)]
    if arguments.write:
        RESULTS.write_text(json.dumps({"goal": GOAL, "recordings": result}, indent=2) + "\n")


def _recordings(files: list[Path]) -> Iterator[tuple[str, speech.Speech]]:
    if files:
        yield from ((file.name, speech.Speech(speech.read(file), "")) for file in files)
    else:
        yield "sample", speech.sample()
        yield "sample and prompts", speech.long_recording(min_words=MIN_PROMPT_WORDS)


def _measure(name: str, recording: speech.Speech) -> dict[str, Any]:
    words = _words(recording)
    print(f"{name}: {recording.seconds:.0f} s, {len(words)} words")
    rows = [_row("one for each segment", _unshaped(words), DEFAULT_PROFILE.name)]
    for profile in PROFILES.values():
        rows.append(_row(profile.name, shape(words, profile, language=LANGUAGE), profile.name))
    return {
        "recording": name,
        "seconds": round(recording.seconds),
        "words": len(words),
        "words_per_minute": round(len(words) / recording.seconds * 60),
        "rows": rows,
    }


def _words(recording: speech.Speech) -> list[TimedWord]:
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        events = WhisperEngine().stream(prepared(recording, Path(folder)), lambda: False)
        segments = [event for event in events if isinstance(event, Segment)]
    return [
        TimedWord(word.start, word.end, word.text, word.no_space_before, segment=number)
        for number, segment in enumerate(segments, 1)
        for word in segment.words
    ]


def _unshaped(words: list[TimedWord]) -> list[Cue]:
    groups = (tuple(group) for _, group in groupby(words, key=lambda word: word.segment))
    return [Cue(group[0].start, group[-1].end, (Line(group),)) for group in groups]


def _row(name: str, cues: list[Cue], profile: str) -> dict[str, Any]:
    found = violations(cues, PROFILES[profile], language=LANGUAGE)
    passed = sum(not norms for norms in found) / len(cues)
    failed = Counter(violation.norm.value for norms in found for violation in norms)
    print(f"  {name:22} {len(cues):5} cues, {passed:7.2%} pass  {dict(failed)}")
    for cue, norms in zip(cues, found, strict=True):
        if norms and name == DEFAULT_PROFILE.name:
            reasons = ", ".join(f"{v.norm} {v.value} (limit {v.limit})" for v in norms)
            print(f"    {cue.start:.3f} {cue.text!r}: {reasons}")
    return {"how": name, "cues": len(cues), "pass": round(passed, 4), "failed": dict(failed)}


if __name__ == "__main__":
    main()
