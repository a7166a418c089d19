"""Security: derived from whether SITE_URL is https, except for settings that also affect other
hosts."""

from __future__ import annotations

from transcodio_site.settings.env import HTTPS, env

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Off unless chosen: both also affect hosts that this installation does not serve, and neither can
# be undone quickly.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # they warn where either is off
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
