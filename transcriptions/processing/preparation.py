"""From an upload to audio for an engine: the track with speech, its channels, and the speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from gpu.types import Span
from transcriptions import raw_audio
from transcriptions.exceptions import AudioError
from transcriptions.models import Options
from transcriptions.processing import loudness, voice_activity
from transcriptions.processing.media import mixing
from transcriptions.processing.media.conversion import PreparedAudio, Selection, prepare
from transcriptions.processing.media.duration import measure_duration
from transcriptions.processing.media.ffmpeg_log import Track
from transcriptions.processing.media.probing import probe
from transcriptions.raw_audio import RawAudio
from transcriptions.waveform import Waveform

# What is prepared first, so that its recognition can begin early: the shortest of these openings
# that has speech. Looking for it in the longest one takes four seconds.
OPENINGS_S = (mixing.BEGINNING_S, 300.0, 600.0)
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
    spans: Sequence[Span]
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
        be recognized: without speech in the longest opening, or if the duration is wrong or cannot
        be found out quickly. Raises AudioError."""
        duration = 0.0
        for seconds in OPENINGS_S:
            audio = self._converted(track, seconds)
            first = track if is_chosen or not audio.tracks else _in_order(audio.tracks)[0].index
            if first != track:
                return self.beginning(first, is_chosen=True)
            if audio.duration < seconds - 1 and audio.declared < seconds:
                return self._analyzed(audio, track)
            if self.selection.separate_channels and not self._has_certain_channels(audio):
                return self._beginning_of_channels(track)
            duration = duration or self._declared(audio, track)
            if not max(MIN_LONG_S, audio.duration) < duration <= settings.MAX_DURATION_SECONDS:
                return None
            if spans := self._first_speech(audio):
                whole = replace(audio, duration=duration, note="")
                return Preparation(whole, track, spans, Waveform(), is_opening=True)
        return None

    def _beginning_of_channels(self, track: int) -> Preparation:
        """The same if only all of the recording tells which channels are to be recognized
        separately; most of the time is that of the search for speech. Raises AudioError."""
        audio = self._converted(track)
        for seconds in OPENINGS_S if audio.duration > MIN_LONG_S else ():
            path = mixing.cut(audio.path, self.folder / "opening.wav", seconds, self.check)
            opening = replace(audio, path=path, duration=seconds)
            if spans := self._first_speech(opening):
                whole = replace(audio, path=path, note="")
                return Preparation(whole, track, spans, Waveform(), is_opening=True)
        return self._analyzed(audio, track)

    def _has_certain_channels(self, audio: PreparedAudio) -> bool:
        """Whether the rest of the recording cannot change what is recognized separately."""
        return audio.decoded_channels < 2 or mixing.are_independent(audio.path, self.check)

    def _first_speech(self, opening: PreparedAudio) -> Sequence[Span]:
        """The speech of all channels that certainly ends in the opening."""
        if opening.channels:
            found = self._speech(opening, self._paths(opening))
            return before_silence(found, opening.duration - CUT_EDGE_S)
        path, check = opening.path, self.check
        found, end = voice_activity.find_first_speech(path, opening.duration, check)
        return [span for span in found if span.end < end - CUT_EDGE_S]

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
        paths = self._paths(audio)
        channels = [loudness.measure_loudness(path, audio.duration) for path in paths.values()]
        spans = self._speech(audio, paths)
        return Preparation(audio, track, spans, loudness.waveform_of(channels))

    def _paths(self, audio: PreparedAudio) -> Mapping[int | None, Path]:
        """A mono WAV for each channel to be recognized separately."""
        if audio.channels:
            return dict(mixing.split(audio.path, self.folder, audio.channels, self.check).items())
        return {None: audio.path}

    def _speech(self, audio: PreparedAudio, paths: Mapping[int | None, Path]) -> list[Span]:
        """The speech of all channels, in order."""
        spans = [
            replace(span, channel=channel)
            for channel, path in paths.items()
            for span in voice_activity.find_speech(path, audio.duration, self.check)
        ]
        return sorted(spans, key=lambda span: span.start)

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


def before_silence(spans: Sequence[Span], end: float) -> Sequence[Span]:
    """Of sorted speech of several channels, all that comes before the last moment until `end` at
    which no channel has speech."""
    count, spoken_until = 0, 0.0
    for number, span in enumerate(spans):
        if span.start >= spoken_until:
            count = number
        spoken_until = max(spoken_until, span.end)
    return spans if spoken_until < end else spans[:count]


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
    selection = Selection(raw, separate_channels=options.channels == "separate")
    preparer = _Preparer(source, folder, check, selection)
    track, is_chosen = options.track or 0, options.track is not None
    try:
        found = None
        if opening_first:
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
