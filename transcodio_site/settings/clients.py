"""What programs that call the APIs expect."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from transcodio_site.settings.env import env

# Refuse names of models that GET /v1/models does not list.
OPENAI_STRICT_MODELS = env.bool("OPENAI_STRICT_MODELS", default=False)
# Proxies cut silent connections, often after 60 or 100 seconds. 0: nothing is sent meanwhile.
KEEP_ALIVE_SECONDS = env.float("KEEP_ALIVE_SECONDS", default=20.0)

# Pages of other sites may call the APIs with a token. Cookies are never accepted from there: a page
# gains nothing from the session of its visitor.
_origins = env.list("CORS_ALLOWED_ORIGINS", default=["*"])
for _origin in _origins:
    if _origin != "*" and urlsplit(_origin)._replace(scheme="", netloc="").geturl():
        raise ImproperlyConfigured(
            f"CORS_ALLOWED_ORIGINS: {_origin} is not valid: write https://host, or * for all."
        )
CORS_ALLOW_ALL_ORIGINS = "*" in _origins
CORS_ALLOWED_ORIGINS = [] if CORS_ALLOW_ALL_ORIGINS else _origins
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/(api(?!/docs)|v1)(/|$)"  # not the page of the reference
CORS_ALLOW_HEADERS = ("*", "authorization")  # the asterisk does not include the latter
CORS_EXPOSE_HEADERS = ("*",)
