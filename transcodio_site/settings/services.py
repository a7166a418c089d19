"""Postgres, and Valkey or Redis."""

from __future__ import annotations

from typing import Any

import environ

from transcodio_site import embedded
from transcodio_site.redis_url import check_redis_url
from transcodio_site.settings.env import VAR_DIR, env

DATABASE_URL = env.str("DATABASE_URL", default="") or embedded.postgres_url(VAR_DIR)
REDIS_URL = env.str("REDIS_URL", default="") or embedded.redis_url(VAR_DIR)
check_redis_url(REDIS_URL)
# Whether Postgres is the embedded one. If so, a demo account is created.
EMBEDDED = not env.str("DATABASE_URL", default="")
EMBEDDED_SERVERS: dict[str, Any] = {
    "var": VAR_DIR,
    "postgres": EMBEDDED,
    "valkey": not env.str("REDIS_URL", default=""),
}
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
# After a restart of Postgres the pool still holds old connections.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# PgBouncer may give each transaction a different connection, so no cursor outlives a transaction.
# It refuses the option that limits statements (see deploy/pgbouncer/pgbouncer.ini, which limits
# them itself).
DATABASE_PGBOUNCER = env.bool("DATABASE_PGBOUNCER", default=False)
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_PGBOUNCER
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=20)
# In seconds, and only in the web process: see database.py.
DATABASE_STATEMENT_TIMEOUT = env.int("DATABASE_STATEMENT_TIMEOUT", default=10)
if DATABASE_PGBOUNCER:
    DATABASE_STATEMENT_TIMEOUT = 0
# In seconds, for each query of a search.
SEARCH_TIMEOUT = env.int("SEARCH_TIMEOUT", default=3)
# Searches of all users together leave half of the connections of the web process to others.
MAX_SEARCHES = max(1, DATABASE_POOL_SIZE // 2)
DATABASES["default"]["OPTIONS"] = {
    # A connection to a server that has disappeared from the network fails within half a minute.
    "connect_timeout": 5,
    "tcp_user_timeout": 30_000,
    **DATABASES["default"].get("OPTIONS", {}),
    # One pool per process: an idle page or stream holds no connection.
    # The pool waits longer before each attempt to reconnect: keep the waits short, or the end of an
    # outage would be noticed only after as much time again.
    "pool": {
        "min_size": 0,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 10,
        "reconnect_timeout": 5,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
