"""The beta form of the Realtime API: flat settings, and different names for some events."""

from __future__ import annotations

from typing import Any

HEADER = (b"openai-beta", b"realtime=v1")
SUBPROTOCOL = "openai-beta.realtime-v1"
FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_NAMES = {
    "input_audio_transcription": "transcription",
    "turn_detection": "turn_detection",
    "input_audio_noise_reduction": "noise_reduction",
}


def is_beta(scope: dict[str, Any]) -> bool:
    """Whether the client requested the beta form in its handshake."""
    return HEADER in scope["headers"] or SUBPROTOCOL in scope["subprotocols"]


def settings_of(session: Any) -> Any:
    """Flat settings in the current form."""
    if not isinstance(session, dict):
        return session
    sent = {new: session[old] for old, new in _NAMES.items() if old in session}
    if "input_audio_format" in session:
        name = session["input_audio_format"]
        sent["format"] = {"type": FORMATS.get(str(name), name)}
    include = {"include": session["include"]} if "include" in session else {}
    return {"audio": {"input": sent}, **include}


def flat(session: dict[str, Any]) -> dict[str, Any]:
    """Current settings in the beta form."""
    given = session["audio"]["input"]
    names = {new: old for old, new in FORMATS.items()}
    return {
        "id": session["id"],
        "object": session["object"],
        "expires_at": session["expires_at"],
        "input_audio_format": names[given["format"]["type"]],
        **{old: given[new] for old, new in _NAMES.items()},
        "include": session["include"],
    }
