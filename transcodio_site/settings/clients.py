"""What programs that call the APIs expect."""

from __future__ import annotations

from transcodio_site.settings.env import env

# Refuse names of models that GET /v1/models does not list.
OPENAI_STRICT_MODELS = env.bool("OPENAI_STRICT_MODELS", default=False)
