"""The site: applications, middleware, templates, language, and logs."""

from __future__ import annotations

import gc
import os
import sys
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from transcodio_site.files import stored_secret_key
from transcodio_site.logs import FORMATS, logging_config
from transcodio_site.settings.accounts import PROVIDER_APPS
from transcodio_site.settings.env import BASE_DIR, HTTPS, SITE_URL, VAR_DIR, env

# onnxruntime, which the speech detector uses, sends telemetry unless this is set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or stored_secret_key(VAR_DIR / "secret_key")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", urlsplit(SITE_URL).hostname or ""]
)
CSRF_TRUSTED_ORIGINS = [SITE_URL] if HTTPS else []

# The apps load a fifth faster without garbage collection. `SiteConfig.ready` turns it on again.
gc.disable()
INSTALLED_APPS = [
    # Only for `runserver`: importing it delays the start by half a second.
    *(["daphne"] if "runserver" in sys.argv else []),
    "transcodio_site",
    "accounts",
    "transcriptions",
    "transcriptions.webhooks",
    "transcodio_site.admin_app.AdminApp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "transcodio_site.static_files_app.StaticFilesApp",
    "django.contrib.humanize",
    "channels",
    "corsheaders",
    "ninja",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    *PROVIDER_APPS,
]
MIDDLEWARE = [
    "transcodio_site.middleware.release_resources",
    "transcodio_site.middleware.ignore_trailing_slash",
    "transcodio_site.response_headers.cache_headers",
    "transcodio_site.response_headers.security_headers",
    "transcodio_site.middleware.request_id_header",
    "corsheaders.middleware.CorsMiddleware",
    "transcodio_site.monitoring.middleware.answer_probes",
    "transcodio_site.monitoring.middleware.measure_requests",
    "transcodio_site.monitoring.middleware.trace_requests",
    "transcodio_site.middleware.rate_limit_headers",
    "transcodio_site.middleware.errors_as_json",
    "transcodio_site.request_limits.reject_null_characters",
    "transcodio_site.middleware.answer_options",
    "transcodio_site.middleware.head_as_get",
    "django.middleware.security.SecurityMiddleware",
    "transcodio_site.admission.limit_body",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "transcodio_site.request_limits.RequestLimitMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "transcodio_site.middleware.SessionActivityMiddleware",
]
ROOT_URLCONF = "transcodio_site.urls"
ASGI_APPLICATION = "transcodio_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.adapter.signup_policy",
            ],
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "transcodio_site.formats"
LOG_FORMAT = env.str("LOG_FORMAT", default="text")
if LOG_FORMAT not in FORMATS:
    raise ImproperlyConfigured(f"LOG_FORMAT={LOG_FORMAT} is not valid: set it to text or json.")
LOGGING = logging_config(
    LOG_FORMAT,
    root_level=env.str("LOG_LEVEL", default="WARNING"),
    our_level=env.str("LOG_LEVEL", default="INFO"),
)
