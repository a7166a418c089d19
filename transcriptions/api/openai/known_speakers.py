"""Speakers that a request names, each with a data URL of a few seconds of speech.

The data is as untrusted as an upload: only FFmpeg opens it, in the same sandbox.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts.text import clean_name
from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.exceptions import AudioError
from transcriptions.models import SpeakerReference
from transcriptions.models.speaker import MAX_NAME_CHARS
from transcriptions.processing.media.conversion import Selection, prepare
from transcriptions.processing.media.probing import probe

NAMES, REFERENCES = "known_speaker_names", "known_speaker_references"
MAX_SPEAKERS = 4
MIN_REFERENCE_S, MAX_REFERENCE_S = 2.0, 10.0
TOLERANCE_S = 0.1  # of audio that encoders add or remove
DECODING_TIMEOUT_S = 10.0
DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """A name, and the recording of a few seconds that came with it."""

    name: str
    content: bytes


def known_speakers(form: QueryDict) -> tuple[KnownSpeaker, ...]:
    """The known speakers in order of the request. Raises InvalidParameter."""
    names = [clean_name(name, MAX_NAME_CHARS) for name in _values(form, NAMES)]
    urls = _values(form, REFERENCES)
    if len(names) > MAX_SPEAKERS:
        message = _("At most %(count)d speakers can be named.")
        raise _invalid(NAMES, message % {"count": MAX_SPEAKERS})
    if len({name.casefold() for name in names}) < len(names) or "" in names:
        raise _invalid(NAMES, _("Speaker names must be visible and different."))
    if len(names) != len(urls):
        message = _("%(names)s and %(references)s must have the same number of items.")
        raise _invalid(REFERENCES, message % {"names": NAMES, "references": REFERENCES})
    return tuple(KnownSpeaker(*pair) for pair in zip(names, map(_content, urls), strict=True))


def decode(speakers: tuple[KnownSpeaker, ...]) -> list[SpeakerReference]:
    """The data that is stored until the recording is complete. Raises InvalidParameter."""
    return [SpeakerReference(name=each.name, audio=_decoded(each)) for each in speakers]


def _values(form: QueryDict, name: str) -> list[str]:
    """The items as they are: both names and data URLs may contain commas."""
    is_item = re.compile(rf"{name}(\[\d*\])?")
    sent = [str(v).strip() for key in form if is_item.fullmatch(key) for v in form.getlist(key)]
    if len(sent) == 1 and sent[0].startswith("["):
        with suppress(ValueError, RecursionError):
            sent = [str(item).strip() for item in json.loads(sent[0])]
    return [value for value in sent if value]


def _content(url: str) -> bytes:
    match = DATA_URL.match(url)
    try:
        content = base64.b64decode(url[match.end() :], validate=True) if match else b""
    except ValueError:
        content = b""
    if not content:
        message = _("Each speaker reference must be a data URL: data:audio/wav;base64,...")
        raise _invalid(REFERENCES, message)
    return content


def _decoded(speaker: KnownSpeaker) -> bytes:
    """The reference as a prepared WAV."""
    settings.FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="voice-") as name:
        folder = Path(name)
        source = folder / "reference"
        source.write_bytes(speaker.content)
        try:
            probe(source)
            selection = Selection(seconds=MAX_REFERENCE_S + 1)
            audio = prepare(source, folder, _deadline(), selection)
        except AudioError as error:
            message = _("The reference of %(name)s cannot be used. %(reason)s")
            values = {"name": speaker.name, "reason": str(error)}
            raise _invalid(REFERENCES, message % values) from None
        if not MIN_REFERENCE_S - TOLERANCE_S <= audio.duration <= MAX_REFERENCE_S + TOLERANCE_S:
            message = _("The reference of %(name)s must be 2 to 10 seconds long.")
            raise _invalid(REFERENCES, message % {"name": speaker.name})
        return audio.path.read_bytes()


def _deadline() -> Callable[[], None]:
    end = time.monotonic() + DECODING_TIMEOUT_S

    def check() -> None:
        if time.monotonic() > end:
            raise AudioError(_("It takes too long to decode."))

    return check


def _invalid(param: str, message: str) -> InvalidParameter:
    return InvalidParameter(400, "invalid_parameter", message, param)
