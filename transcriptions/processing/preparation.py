"""From an upload to audio for an engine: the track with speech, its channels, and the speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu.types import Span
from transcriptions import raw_audio
from transcriptions.exceptions import AudioError
from transcriptions.models import Options
from transcriptions.processing import voice_activity
from transcriptions.processing.media import mixing
from transcriptions.processing.media.conversion import PreparedAudio, Selection, prepare
from transcriptions.processing.media.ffmpeg_log import Track
from transcriptions.processing.media.probing import probe

MAX_TRACKS_TRIED = 8  # each is converted until one has speech
MAX_TRACKS_LISTED = 100
MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Preparation:
    """The audio of one track, where it has speech, and its waveform."""

    audio: PreparedAudio
    track: int
    spans: list[Span]
    peaks: list[int]

    @property
    def tracks(self) -> list[dict[str, Any]]:
        """All audio tracks of the file, as they are stored."""
        return [
            {
                "index": track.index,
                "language": track.language or None,
                "title": track.title[:MAX_TITLE_CHARS] or None,
                "codec": track.codec,
                "channels": track.channels,
                "default": track.is_default,
                "chosen": track.index == self.track,
            }
            for track in self.audio.tracks[:MAX_TRACKS_LISTED]
        ]


@dataclass(frozen=True, slots=True)
class _Preparer:
    """Prepares tracks of a file, one after the other, in a folder."""

    source: Path
    folder: Path
    check: Callable[[], None]
    selection: Selection

    def of_track(self, track: int) -> Preparation:
        """Raises AudioError."""
        audio = prepare(self.source, self.folder, self.check, replace(self.selection, track=track))
        channels: tuple[Path, ...] = (audio.path,)
        if audio.channels > 1:
            channels = mixing.split(audio.path, self.folder, self.check)
        spans, peaks = list[Span](), list[list[int]]()
        for number, path in enumerate(channels):
            found = voice_activity.find_speech(path, audio.duration, self.check)
            spans += [replace(s, channel=number) for s in found] if len(channels) > 1 else found
            peaks.append(voice_activity.find_peaks(path, audio.duration))
        spans.sort(key=lambda span: span.start)
        return Preparation(audio, track, spans, [max(each) for each in zip(*peaks, strict=True)])

    def with_speech(self, first: Preparation | None, tracks: tuple[Track, ...]) -> Preparation:
        """The track with speech: the default one, or else the first that has some. `first` is track
        0, unless it cannot be converted. Raises AudioError."""
        found, current = None, first
        for track in sorted(tracks, key=lambda track: not track.is_default)[:MAX_TRACKS_TRIED]:
            if current is None or current.track != track.index:
                current = self._if_readable(track.index)
            if current and current.spans:
                return current
            found = found or current
        if found is None:
            return self.of_track(0)  # raises the reason again
        return found if found is current else self.of_track(found.track)

    def _if_readable(self, track: int) -> Preparation | None:
        try:
            return self.of_track(track)
        except AudioError:
            return None


def prepare_recording(
    source: Path, folder: Path, options: Options, check: Callable[[], None]
) -> Preparation:
    """Convert a file to `folder`/audio.wav, and find its speech. `check` is called several times
    per second. Raises AudioError, and what `check` raises."""
    declared = raw_audio.declared("", options.media_type)
    raw = probe(source, declared).raw if declared else None
    selection = Selection(raw, separate_channels=options.channels == "separate")
    preparer = _Preparer(source, folder, check, selection)
    try:
        found = preparer.of_track(options.track or 0)
        if options.track is not None or len(found.audio.tracks) == 1:
            return found
        return preparer.with_speech(found, found.audio.tracks)
    except AudioError:
        # A direct upload was not probed before: it may be no media at all, which raises.
        tracks = probe(source, declared).tracks
        if options.track is not None or len(tracks) < 2:
            raise
    return preparer.with_speech(None, tracks)
