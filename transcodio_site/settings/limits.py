"""Rate limits, such as 10/second, 300/minute, 5000/hour, and limits of simultaneous work."""

from __future__ import annotations

from transcodio_site.settings.env import env

RATE_LIMIT_PER_TOKEN = env.str("RATE_LIMIT_PER_TOKEN", default="300/minute")
RATE_LIMIT_WRONG_TOKENS = env.str("RATE_LIMIT_WRONG_TOKENS", default="60/minute")
RATE_LIMIT_PER_USER = env.str("RATE_LIMIT_PER_USER", default="600/minute")
# Uploads at the same time to one web process.
MAX_UPLOADS_PER_USER = env.int("MAX_UPLOADS_PER_USER", default=6)
MAX_UPLOADS_PER_ADDRESS = env.int("MAX_UPLOADS_PER_ADDRESS", default=20)
RATE_LIMIT_PER_ADDRESS = env.str("RATE_LIMIT_PER_ADDRESS", default="600/minute")
# A page of the library with recordings in progress polls their state 30 times per minute.
RATE_LIMIT_PAGES = env.str("RATE_LIMIT_PAGES", default="1800/minute")
# Recordings that wait for a worker.
MAX_WAITING = env.int("MAX_WAITING", default=20_000)
MAX_WAITING_PER_ACCOUNT = env.int("MAX_WAITING_PER_ACCOUNT", default=2_000)
MAX_STREAMS_PER_USER = env.int("MAX_STREAMS_PER_USER", default=50)
# Readers of live captions in one web process. Everyone in a lecture hall often has the same
# address.
MAX_CAPTIONS = env.int("MAX_CAPTIONS", default=2_000)
MAX_CAPTIONS_PER_ADDRESS = env.int("MAX_CAPTIONS_PER_ADDRESS", default=500)
MAX_SEARCHES_PER_USER = env.int("MAX_SEARCHES_PER_USER", default=4)
MAX_EXPORTS_PER_USER = env.int("MAX_EXPORTS_PER_USER", default=2)
MAX_IMPORTS_PER_USER = env.int("MAX_IMPORTS_PER_USER", default=1)
