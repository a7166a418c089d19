"""Voice commands of Home Assistant: see transcodio_site/wyoming_server.py."""

from __future__ import annotations

from transcodio_site.settings.env import env

# The API token of the account to which voice commands are charged. Without one, there is no server
# for them.
WYOMING_TOKEN = env.str("WYOMING_TOKEN", default="")
WYOMING_HOST = env.str("WYOMING_HOST", default="127.0.0.1")
WYOMING_PORT = env.int("WYOMING_PORT", default=10300)
WYOMING_SERVER = env.str("WYOMING_SERVER", default="http://127.0.0.1:8000")
