"""The names of models. All of them select the one configured engine, so that clients, which often
have a name built in, work unchanged."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from transcriptions.api.openai.errors import InvalidParameter

# What `GET /v1/models` lists: ours, and those of OpenAI, from which its clients choose.
MODELS = (
    "transcodio",
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "gpt-realtime-whisper",
    "gpt-live-transcribe",
)


def check_model(name: str) -> None:
    """Raises InvalidParameter if the name is not listed and OPENAI_STRICT_MODELS is set."""
    if name in MODELS or not settings.OPENAI_STRICT_MODELS:
        return
    message = _("The model %(name)r does not exist. Use one of %(models)s.") % {
        "name": name[:60],
        "models": ", ".join(MODELS),
    }
    raise InvalidParameter(404, "model_not_found", message, "model")


def model_object(name: str) -> dict[str, Any]:
    """The description of a model."""
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "transcodio"}
