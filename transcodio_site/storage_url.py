"""STORAGE_URL: where recordings are stored.

Error messages never contain the URL, which may have credentials.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

LOCAL = "transcriptions.storage.local.LocalStorage"
S3 = "transcriptions.storage.s3.S3Storage"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ENDPOINT = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?")
PREFIX = re.compile(r"[\w-][\w./-]*")
OPTIONS = ("endpoint", "region", "prefix", "encryption", "kms_key")
ENCRYPTIONS = ("AES256", "aws:kms")
DEFAULT_REGION = "us-east-1"  # servers other than AWS's need some region for signatures


def directory_from_url(url: str) -> Path | None:
    """The directory of file:///directory; None for other URLs. Raises ImproperlyConfigured."""
    if not url.startswith("file:"):
        return None
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise _invalid("file: needs an absolute path, such as file:///srv/recordings")
    return path


def storage_from_url(url: str, *, direct: bool = True) -> dict[str, Any]:
    """The value for STORAGES["default"]: a bucket, or else the directory MEDIA_ROOT.

    Raises ImproperlyConfigured.
    """
    if not url or directory_from_url(url):
        return {"BACKEND": LOCAL}
    if url.startswith("s3://"):
        return {"BACKEND": S3, "OPTIONS": {**_bucket(url), "direct": direct}}
    raise _invalid("it must start with s3:// or file:///")


def _bucket(url: str) -> dict[str, str]:
    """The options of the backend. Secret keys often contain a `/`, which need not be quoted, so
    `urlsplit` cannot parse this."""
    authority, _, query = url.removeprefix("s3://").partition("?")
    credentials, _, bucket = authority.rpartition("@")
    if not BUCKET.fullmatch(bucket):
        raise _invalid("the name of the bucket is missing or not valid (for a folder, use prefix=)")
    options = _options(query) | {"bucket": bucket}
    if credentials:
        access_key, _, secret_key = credentials.partition(":")
        if not (access_key and secret_key):
            raise _invalid("the credentials have the form ACCESS_KEY:SECRET_KEY")
        options |= {"access_key": unquote(access_key), "secret_key": unquote(secret_key)}
    return options


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if any(name not in OPTIONS or not value for name, value in options.items()):
        raise _invalid(f"after the ? it may have {', '.join(OPTIONS)}, each with a value")
    if endpoint := options.get("endpoint"):
        if not ENDPOINT.fullmatch(endpoint):
            raise _invalid("endpoint must be a URL such as https://s3.example.com")
        options["endpoint"] = endpoint.rstrip("/")
        options.setdefault("region", DEFAULT_REGION)
    if "prefix" in options:
        options["prefix"] = _prefix(options["prefix"])
    if options.get("encryption", "AES256") not in ENCRYPTIONS:
        raise _invalid(f"encryption is {' or '.join(ENCRYPTIONS)}")
    if "kms_key" in options and options.get("encryption") != "aws:kms":
        raise _invalid("kms_key needs encryption=aws:kms")
    return options


def _prefix(prefix: str) -> str:
    prefix = prefix.strip("/")
    if not PREFIX.fullmatch(prefix) or ".." in prefix:
        raise _invalid("prefix may contain only letters, digits, and . _ - /")
    return prefix


def _invalid(reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"STORAGE_URL is not valid: {reason}. See docs/configuration.md.")
