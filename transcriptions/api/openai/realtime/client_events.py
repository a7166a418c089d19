"""What a client of the Realtime API sends."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

UPDATE, APPEND = "session.update", "input_audio_buffer.append"
COMMIT, CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"
BETA_UPDATE = "transcription_session.update"
TYPES = (UPDATE, BETA_UPDATE, APPEND, COMMIT, CLEAR)


class ClientError(Exception):
    """An event that cannot be processed. `str()` is a message for the client."""

    def __init__(
        self, code: str, message: str, param: str | None = None, event_id: str = ""
    ) -> None:
        super().__init__(message)
        self.code, self.param, self.event_id = code, param, event_id


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """An event of one of TYPES. `id` is the client's, empty if it has none."""

    type: str
    id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def audio(self) -> bytes:
        """The audio of APPEND. Raises ClientError."""
        audio = self.fields.get("audio")
        if audio is None:
            message = _("Missing required parameter: 'audio'.")
            raise ClientError("missing_required_parameter", message, "audio")
        try:
            return base64.b64decode(audio, validate=True)
        except (TypeError, ValueError, binascii.Error):
            message = _("Invalid 'audio'. Expected audio bytes in Base64.")
            raise ClientError("invalid_value", message, "audio") from None


def parse(text: str | None) -> ClientEvent:
    """The event in a message; None: it was binary. Raises ClientError."""
    if text is None:
        message = _("Send audio as the Base64 text of %(type)s, not in binary messages.")
        raise ClientError("invalid_event", message % {"type": APPEND})
    try:
        event = json.loads(text)
        if "\\u" in text:  # only an escape can be half of a surrogate pair
            json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # cannot be stored or sent
        raise ClientError("invalid_value", _("Text must be valid Unicode.")) from None
    except (ValueError, RecursionError):
        event = None
    if "\\u0000" in text:  # cannot be stored
        raise ClientError("invalid_value", _("Text must not contain null characters."))
    if not isinstance(event, dict):
        raise ClientError("invalid_json", _("The message is not a JSON object."))
    sent_id, kind = event.get("event_id"), event.get("type")
    event_id = sent_id[:512] if isinstance(sent_id, str) else ""
    if kind not in TYPES:
        message = _("Invalid value: %(type)s. Supported values are: %(types)s.")
        values = {"type": repr(kind)[:100], "types": ", ".join(repr(name) for name in TYPES)}
        raise ClientError("invalid_value", message % values, "type", event_id)
    return ClientEvent(kind, event_id, event)
