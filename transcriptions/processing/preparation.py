"""From an upload to audio for an engine: the track with speech, its channels, and the speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from gpu.types import Span
from transcriptions import raw_audio
from transcriptions.exceptions import AudioError
from transcriptions.models import Options
from transcriptions.processing import loudness, voice_activity
from transcriptions.processing.loudness import Loudness
from transcriptions.processing.media import mixing
from transcriptions.processing.media.conversion import PreparedAudio, Selection, prepare
from transcriptions.processing.media.duration import measure_duration
from transcriptions.processing.media.ffmpeg_log import Track
from transcriptions.processing.media.probing import probe
from transcriptions.raw_audio import RawAudio
from transcriptions.waveform import Waveform

# What is prepared first, so that its recognition can begin early: the shortest of these openings
# that has speech. Looking for it in the longest one takes four seconds.
OPENINGS_S = (60.0, 300.0, 600.0)
MIN_LONG_S = 180.0  # of a recording with an opening: all of a shorter one is prepared in a second
CUT_EDGE_S = 0.5  # before the end of the opening, where speech may go on
MAX_TRACKS_TRIED = 8  # each is converted until one has speech
MAX_TRACKS_LISTED = 100
MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Preparation:
    """The audio of one track, where it has speech, and its waveform. Of an opening, the audio ends
    early, the duration is the declared one of the recording, and there is no waveform."""

    audio: PreparedAudio
    track: int
    spans: list[Span]
    waveform: Waveform
    is_opening: bool = False

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
        return self._analyzed(self._converted(track), track)

    def beginning(self, track: int, *, is_chosen: bool) -> Preparation | None:
        """All of a short recording, or the opening of a long one; of the first of several tracks by
        their order, unless this one `is_chosen`. None if only the whole recording tells what is to
        be recognized: without speech in the longest opening, or if the duration cannot be found out
        quickly. Raises AudioError."""
        duration = 0.0
        for seconds in OPENINGS_S:
            audio = self._converted(track, seconds)
            first = track if is_chosen or not audio.tracks else _in_order(audio.tracks)[0].index
            if first != track:
                return self.beginning(first, is_chosen=True)
            if audio.duration < seconds - 1 and audio.declared < seconds:
                return self._analyzed(audio, track)
            duration = duration or self._declared(audio, track)
            if not MIN_LONG_S < duration <= settings.MAX_DURATION_SECONDS:
                return None
            found, end = voice_activity.find_first_speech(audio.path, audio.duration, self.check)
            if spans := [span for span in found if span.end < end - CUT_EDGE_S]:
                whole = replace(audio, duration=duration, note="")
                return Preparation(whole, track, spans, Waveform(), is_opening=True)
        return None

    def _declared(self, audio: PreparedAudio, track: int) -> float:
        """The duration of the recording by its header, or by the times in it."""
        if audio.declared > audio.duration:
            return audio.declared
        selection = replace(self.selection, track=track)
        return measure_duration(self.source, self.folder, self.check, selection)

    def _converted(self, track: int, seconds: float | None = None) -> PreparedAudio:
        selection = replace(self.selection, track=track, seconds=seconds)
        return prepare(self.source, self.folder, self.check, selection)

    def _analyzed(self, audio: PreparedAudio, track: int) -> Preparation:
        paths: list[tuple[int | None, Path]] = [(None, audio.path)]
        if audio.channels:
            separate = mixing.split(audio.path, self.folder, audio.channels, self.check)
            paths = [*separate.items()]
        spans, channels = list[Span](), list[Loudness]()
        for channel, path in paths:
            found = voice_activity.find_speech(path, audio.duration, self.check)
            spans += [replace(span, channel=channel) for span in found]
            channels.append(loudness.measure_loudness(path, audio.duration))
        spans.sort(key=lambda span: span.start)
        return Preparation(audio, track, spans, loudness.waveform_of(channels))

    def with_speech(self, first: Preparation | None, tracks: tuple[Track, ...]) -> Preparation:
        """The track with speech: the default one, or else the first that has some. `first` is one
        that is prepared already. Raises AudioError."""
        found, current = None, first
        for track in _in_order(tracks)[:MAX_TRACKS_TRIED]:
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


def _in_order(tracks: Iterable[Track]) -> list[Track]:
    """The first one with speech is the one to be recognized."""
    return sorted(tracks, key=lambda track: not track.is_default)


def declared_raw_audio(source: Path, options: Options) -> RawAudio | None:
    """What the upload has said about content that has no header; None if it has one. Raises
    UnsupportedFormat."""
    declared = raw_audio.declared("", options.media_type)
    return probe(source, declared).raw if declared else None


def prepare_recording(
    source: Path,
    folder: Path,
    options: Options,
    check: Callable[[], None],
    *,
    opening_first: bool = False,
) -> Preparation:
    """Convert a file to `folder`/audio.wav, and find its speech. With `opening_first`, only of the
    opening if it is long. `check` is called several times per second.

    Raises AudioError, and what `check` raises.
    """
    declared = raw_audio.declared("", options.media_type)
    raw = declared_raw_audio(source, options)
    is_separate = options.channels == "separate"
    selection = Selection(raw, separate_channels=is_separate)
    preparer = _Preparer(source, folder, check, selection)
    track, is_chosen = options.track or 0, options.track is not None
    try:
        found = None
        if opening_first and not is_separate:  # all of it tells which channels differ
            found = preparer.beginning(track, is_chosen=is_chosen)
        found = found or preparer.of_track(track)
        if is_chosen or found.is_opening or len(found.audio.tracks) == 1:
            return found
        return preparer.with_speech(found, found.audio.tracks)
    except AudioError:
        # A direct upload was not probed before: it may be no media at all, which raises.
        tracks = probe(source, declared).tracks
        if is_chosen or len(tracks) < 2:
            raise
    return preparer.with_speech(None, tracks)
