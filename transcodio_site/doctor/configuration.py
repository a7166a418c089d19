"""Checks of the settings: whether they agree with each other and with what the installation
observes."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.http.request import validate_host
from django.utils import timezone

from accounts.models import AuditEvent
from transcodio_site.doctor.findings import Finding
from transcodio_site.inventory import ROOT

CONFIGURATION = ROOT / "docs" / "configuration.md"
DOCUMENTED = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", re.MULTILINE)
ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.MULTILINE)
# Variables of libraries and of the system.
FOREIGN = re.compile(
    r"AWS_|CUDA_|HF_|LANG$|LC_|LD_|MODAL_|OMP_|OTEL_|PG|PYTHON|SENTRY_|SSL_|TZ$|.*_PROXY$", re.I
)
SIMILAR = 0.8  # of difflib: one or two letters may differ
MIN_KEY_LENGTH, MIN_KEY_CHARACTERS = 50, 10
MIN_EVENTS = 5
EXPLANATION = "See https://docs.djangoproject.com/en/5.2/ref/checks/."
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def secret_key() -> Iterator[Finding]:
    """Whether the key cannot be guessed."""
    key = settings.SECRET_KEY
    if len(key) >= MIN_KEY_LENGTH and len(set(key)) >= MIN_KEY_CHARACTERS:
        yield Finding(f"{len(key)} characters")
        return
    yield Finding(
        f"only {len(key)} characters, {len(set(key))} of them different",
        "Whoever guesses it can forge sessions and password resets.",
        "Set SECRET_KEY to the output of `python -c 'import secrets; print(secrets.token_hex(40))'`"
        ", or remove it from the environment.",
    )


def site_url() -> Iterator[Finding]:
    """Whether SITE_URL, ALLOWED_HOSTS and HTTPS fit together."""
    url = urlsplit(settings.SITE_URL)
    host = url.hostname or ""
    problems = list(_site_url_problems(settings.SITE_URL, host))
    if not validate_host(host, settings.ALLOWED_HOSTS):
        problems.append(
            Finding(
                f"ALLOWED_HOSTS={','.join(settings.ALLOWED_HOSTS)} does not contain {host}",
                "Requests to SITE_URL are answered with 400.",
                f"Add {host} to ALLOWED_HOSTS, or remove that variable.",
            )
        )
    yield from problems or [Finding(settings.SITE_URL)]


def _site_url_problems(text: str, host: str) -> Iterator[Finding]:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not host:
        yield Finding(
            f"SITE_URL={text} is not a URL",
            "Links in emails do not work.",
            "Set it to a URL such as https://transcodio.example.com.",
        )
    elif url.path or url.query or url.fragment:
        yield Finding(
            f"SITE_URL={text} has a path",
            "Links in emails do not work.",
            f"Set it to {url.scheme}://{url.netloc}.",
        )
    elif url.scheme == "http" and host not in LOCAL_HOSTS:
        yield Finding(
            f"SITE_URL={text} has no HTTPS",
            "Passwords and recordings travel unencrypted, and passkeys do not work.",
            f"Put a reverse proxy with TLS in front, and set SITE_URL=https://{host}.",
        )


def debug_mode() -> Iterator[Finding]:
    """Whether errors show the code and the settings."""
    if settings.DEBUG and urlsplit(settings.SITE_URL).hostname not in LOCAL_HOSTS:
        yield Finding(
            "DEBUG is on", "Error pages show settings and code to everybody.", "Remove DEBUG."
        )
    else:
        yield Finding("on, for this machine only" if settings.DEBUG else "off")


def django_checks() -> Iterator[Finding]:
    """What `manage.py check` finds, with --deploy for a site with HTTPS."""
    deploy = settings.SITE_URL.startswith("https://")
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=deploy)
        if message.level >= checks.WARNING and not message.is_silenced()
    ]
    for message in found:
        remedy = message.hint or EXPLANATION
        yield Finding(f"{message.id}: {message.msg}", "Django warns about it.", remedy)
    if not found:
        yield Finding("nothing found")


def variables() -> Iterator[Finding]:
    """Whether there are variables that no setting reads, probably because of a typo."""
    known = set(DOCUMENTED.findall(CONFIGURATION.read_text(encoding="utf-8")))
    file = Path(settings.BASE_DIR) / ".env"
    in_file = set(ASSIGNED.findall(file.read_text(encoding="utf-8"))) if file.is_file() else set()
    unknown = {name for name in in_file - known if not FOREIGN.match(name)}
    # The environment has many other variables: there, only those count that look like ours.
    unknown |= {name for name in set(os.environ) - known if "_" in name and _similar(name, known)}
    for name in sorted(unknown):
        nearest = _similar(name, known)
        yield Finding(
            f"no setting reads {name}",
            "It has no effect.",
            f"Did you mean {nearest}?" if nearest else f"Remove it from {file}.",
        )
    if not unknown:
        yield Finding("no setting is misspelled")


def _similar(name: str, known: set[str]) -> str:
    if FOREIGN.match(name):
        return ""
    return next(iter(difflib.get_close_matches(name.upper(), known, 1, SIMILAR)), "")


def proxies() -> Iterator[Finding]:
    """Whether TRUSTED_PROXY_COUNT can be right."""
    count = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    found = f"TRUSTED_PROXY_COUNT={count}"
    docs = "Set it to the number of proxies in front of the web server: see docs/self-hosting.md."
    if settings.SITE_URL.startswith("https://") and count == 0:
        yield Finding(
            f"{found}, but SITE_URL has HTTPS, which a proxy must provide",
            "Limits of sign-ins and uploads count all visitors as one.",
            docs,
        )
    elif urlsplit(settings.SITE_URL).hostname in LOCAL_HOSTS and count:
        yield Finding(
            f"{found}, but SITE_URL={settings.SITE_URL} has no proxy",
            "Visitors can choose the IP address that limits and the activity log see.",
            "Set TRUSTED_PROXY_COUNT=0.",
        )
    elif address := _only_address():
        yield Finding(
            f"{found}, and all activity of the last week comes from {address}",
            "If that is a proxy, limits of sign-ins and uploads count all visitors as one.",
            docs,
        )
    else:
        yield Finding(found)


def _only_address() -> str:
    """The private address that all recent events come from, on a site that others can reach."""
    if urlsplit(settings.SITE_URL).hostname in LOCAL_HOSTS:
        return ""
    since = timezone.now() - timedelta(days=7)
    recent = AuditEvent.objects.filter(created_at__gte=since, address__isnull=False)
    addresses = set(recent.values_list("address", flat=True).distinct().order_by()[:2])
    if len(addresses) != 1 or recent.count() < MIN_EVENTS:
        return ""
    address = str(addresses.pop())
    return address if ip_address(address).is_private else ""
