"""The environment, and what several groups of settings read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# The folder of the checkout.
BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Of the names of variables that may contain secrets: URLs have passwords.
SECRET_ENDINGS = ("_URL", "_TOKEN", "_KEY", "_SECRET", "_DSN")


class Env(environ.Env):  # type: ignore[misc]
    """The environment; the error for a value that cannot be parsed names its variable."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        """One variable. Raises ImproperlyConfigured."""
        with _errors_with_name(var):
            return super().get_value(var, *args, **options)

    def email_url(self, var: str, *args: Any, **options: Any) -> dict[str, Any]:
        """The settings that a URL of a mail server stands for. Raises ImproperlyConfigured."""
        with _errors_with_name(var):
            settings: dict[str, Any] = super().email_url(var, *args, **options)
            return settings


@contextmanager
def _errors_with_name(var: str) -> Iterator[None]:
    try:
        yield
    except ValueError:
        value = "" if var.endswith(SECRET_ENDINGS) else f"={os.environ.get(var)!r}"
        message = f"{var}{value} is not valid: see docs/configuration.md."
        raise ImproperlyConfigured(message) from None


env = Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(BASE_DIR / ".env")

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "tmp"
for folder in (VAR_DIR, FILE_UPLOAD_TEMP_DIR, VAR_DIR / "static"):
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{env.int('PORT', default=8000)}")
HTTPS = SITE_URL.startswith("https://")
