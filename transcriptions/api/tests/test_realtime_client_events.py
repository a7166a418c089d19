"""What clients of the Realtime API send."""

from __future__ import annotations

import pytest

from transcriptions.api.openai.realtime import client_events
from transcriptions.api.openai.realtime.client_events import ClientError


@pytest.mark.parametrize(
    "text",
    [
        r'{"type": "session.update", "session": {"prompt": "\ud83d"}}',
        r'{"type": "session.update", "session": {"\udc00": 1}}',
        r'{"type": "input_audio_buffer.clear", "event_id": "\uD800"}',
        r'{"type": "\ud800"}',
    ],
)
def test_half_of_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(ClientError) as refused:
        client_events.parse(text)
    assert refused.value.code == "invalid_value"
    assert str(refused.value) == "Text must be valid Unicode."


def test_escaped_characters_are_accepted() -> None:
    text = r'{"type": "input_audio_buffer.clear", "event_id": "\ud83d\ude00 \\ud83d \u00e9"}'
    assert client_events.parse(text).id == "😀 \\ud83d é"
