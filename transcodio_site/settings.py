"""All settings, read from the environment: docs/configuration.md lists every variable.

Without any variable set the product runs embedded: Postgres and Valkey from wheels, data in `var/`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from transcodio_site import embedded
from transcodio_site.files import stored_secret_key
from transcodio_site.logs import FORMATS, logging_config

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):  # type: ignore[misc]
    """The environment; the error for a value that cannot be parsed names its variable."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        """One variable. Raises ImproperlyConfigured."""
        try:
            return super().get_value(var, *args, **options)
        except ValueError:
            message = f"{var}={os.environ.get(var)!r} is not valid: see docs/configuration.md."
            raise ImproperlyConfigured(message) from None


env = Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(BASE_DIR / ".env")

# onnxruntime, which the speech detector uses, sends telemetry unless this is set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "tmp"
for folder in (VAR_DIR, FILE_UPLOAD_TEMP_DIR, VAR_DIR / "static"):
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

# --- The site ---------------------------------------------------------------------------------
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{env.int('PORT', default=8000)}")
HTTPS = SITE_URL.startswith("https://")
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or stored_secret_key(VAR_DIR / "secret_key")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", urlsplit(SITE_URL).hostname or ""]
)
CSRF_TRUSTED_ORIGINS = [SITE_URL] if HTTPS else []

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
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "ninja",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]
MIDDLEWARE = [
    "transcodio_site.middleware.release_resources",
    "transcodio_site.response_headers.cache_headers",
    "transcodio_site.response_headers.security_headers",
    "transcodio_site.middleware.request_id_header",
    "transcodio_site.middleware.rate_limit_headers",
    "transcodio_site.middleware.errors_as_json",
    "transcodio_site.request_limits.reject_null_characters",
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
    "allauth.usersessions.middleware.UserSessionsMiddleware",
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

# --- Postgres and Valkey (or Redis) -----------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default="") or embedded.postgres_url(VAR_DIR)
REDIS_URL = env.str("REDIS_URL", default="") or embedded.redis_url(VAR_DIR)
# Whether Postgres is the embedded one. If so, a demo account is created.
EMBEDDED = not env.str("DATABASE_URL", default="")
EMBEDDED_SERVERS: dict[str, Any] = {
    "var": VAR_DIR,
    "postgres": EMBEDDED,
    "valkey": not env.str("REDIS_URL", default=""),
}
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
# After a restart of Postgres the pool still holds connections of before.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=20)
# In seconds, and only in the web process: see database.py.
DATABASE_STATEMENT_TIMEOUT = env.int("DATABASE_STATEMENT_TIMEOUT", default=10)
# Searches of all users together leave half of the connections of the web process to others.
MAX_SEARCHES = max(1, DATABASE_POOL_SIZE // 2)
DATABASES["default"]["OPTIONS"] = {
    # A connection to a server that has disappeared from the network fails within half a minute.
    "connect_timeout": 5,
    "tcp_user_timeout": 30_000,
    **DATABASES["default"].get("OPTIONS", {}),
    # One pool per process: an idle page or stream holds no connection.
    # The pool waits longer before each attempt to reconnect: short periods, or the end of an outage
    # would be noticed only after as much time again.
    "pool": {
        "min_size": 0,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 10,
        "reconnect_timeout": 5,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # The layer waits up to 5 s for a message: the socket timeout must be longer.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 15}], "capacity": 500},
    }
}

# --- Celery -----------------------------------------------------------------------------------
# Kombu and redis-py use different URL schemes for Unix sockets.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)
# The database repeats what the broker loses. So an unreachable broker is not waited for, and a
# worker keeps no messages in reserve for which it has no free thread.
CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 1, "interval_start": 0, "socket_timeout": 10}
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=8)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # without a mail server, emails are printed there
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ROUTES = {
    "transcriptions.tasks.preprocess": {"queue": "preprocess"},
    "transcriptions.tasks.transcribe": {"queue": "transcribe"},
}
# A message that was not received until the next one is sent is dropped: no backlog of them.
CELERY_BEAT_SCHEDULE = {
    task.rsplit(".", 1)[1]: {"task": task, "schedule": seconds, "options": {"expires": seconds}}
    for task, seconds in (
        ("transcriptions.tasks.requeue_stalled", 3.0),
        ("transcriptions.webhooks.tasks.enqueue_due_deliveries", 15.0),
        ("transcriptions.webhooks.tasks.delete_expired_secrets", 3600.0),
        ("transcriptions.webhooks.tasks.delete_old_deliveries", 24 * 3600.0),
        ("transcriptions.tasks.delete_expired_recordings", 3600.0),
        ("transcriptions.tasks.delete_expired_idempotency_keys", 3600.0),
        ("transcriptions.tasks.delete_expired_sessions", 24 * 3600.0),
        ("transcriptions.tasks.delete_expired_audit_events", 24 * 3600.0),
        ("transcriptions.tasks.delete_old_invitations", 24 * 3600.0),
        ("transcriptions.tasks.resume_account_deletions", 15.0),
        ("transcriptions.tasks.delete_orphaned_files", 24 * 3600.0),
    )
}
CELERY_BEAT_SCHEDULER = "transcodio_site.scheduler:MemoryScheduler"

# --- Rate limits, such as 10/second, 300/minute, 5000/hour ------------------------------------
RATE_LIMIT_PER_TOKEN = env.str("RATE_LIMIT_PER_TOKEN", default="300/minute")
RATE_LIMIT_WRONG_TOKENS = env.str("RATE_LIMIT_WRONG_TOKENS", default="60/minute")
RATE_LIMIT_PER_USER = env.str("RATE_LIMIT_PER_USER", default="600/minute")
# Uploads at the same time to one web process.
MAX_UPLOADS_PER_USER = env.int("MAX_UPLOADS_PER_USER", default=6)
MAX_UPLOADS_PER_ADDRESS = env.int("MAX_UPLOADS_PER_ADDRESS", default=20)
RATE_LIMIT_PER_ADDRESS = env.str("RATE_LIMIT_PER_ADDRESS", default="600/minute")
# A page of the library with 20 recordings in progress asks for their state 600 times per minute.
RATE_LIMIT_PAGES = env.str("RATE_LIMIT_PAGES", default="1800/minute")
MAX_STREAMS_PER_USER = env.int("MAX_STREAMS_PER_USER", default=50)
MAX_SEARCHES_PER_USER = env.int("MAX_SEARCHES_PER_USER", default=4)
MAX_EXPORTS_PER_USER = env.int("MAX_EXPORTS_PER_USER", default=2)

# --- Recordings -------------------------------------------------------------------------------
MAX_FILE_SIZE_MB = env.int("MAX_FILE_SIZE_MB", default=2048)
MAX_DURATION_SECONDS = env.int("MAX_DURATION_SECONDS", default=4 * 3600)
LEASE_SECONDS = env.int("LEASE_SECONDS", default=10)
ENGINE_SILENCE_SECONDS = env.int("ENGINE_SILENCE_SECONDS", default=900)
# A quarter of the threads is left to the recordings of other accounts.
JOBS_PER_ACCOUNT = env.int("JOBS_PER_ACCOUNT", default=max(1, CELERY_WORKER_CONCURRENCY * 3 // 4))
STT_ENGINE = env.str("STT_ENGINE", default="whisper")
# Webhooks to loopback and private addresses: for development, or if all users are trusted.
WEBHOOK_ALLOW_PRIVATE = env.bool("WEBHOOK_ALLOW_PRIVATE", default=False)
# The GPU bill: a function that takes the first and the last day and returns USD by day.
BILL_BY_DAY = "gpu.modal_billing.cost_by_day"
# Variables of the engines (WHISPER_MODEL, ...) are read in gpu/config.py, which imports no Django.

# --- Files ------------------------------------------------------------------------------------
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_HANDLERS = ["transcriptions.uploads.handler.UploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Files are served from the source folders: `make run` needs no collectstatic step.
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site uses our files
WHITENOISE_AUTOREFRESH = not HTTPS  # changes to static files show without a restart

# --- Accounts and email -----------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
# How many reverse proxies a request passes: that many entries at the end of X-Forwarded-For are
# trusted, and the first of them is the client.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
# Confirmed addresses also hide from visitors which addresses have an account. Without a mail server
# nobody could sign up.
ACCOUNT_EMAIL_VERIFICATION = env.str(
    "EMAIL_VERIFICATION",
    default="mandatory" if env.str("EMAIL_URL", default="") else "optional",
)
# See accounts/sign_in_limits.py. `key` is an account and an IP address, or else an account.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip,5/5m/key,50/d/key",
    "login_failed_account": "20/h/key",
    "login_failed_slow": "1/h/key",
    "wrong_codes": "4/d/key",
}
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm"}
# Who may sign up: everyone, invited addresses, or no one.
SIGNUP = env.str("SIGNUP", default="open")
if SIGNUP not in ("open", "invited", "closed"):
    raise ImproperlyConfigured(f"SIGNUP={SIGNUP} is not valid: set it to open, invited or closed.")
# Two-factor authentication by authenticator app or passkey; a passkey can replace the password.
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Transcodio"
MFA_TOTP_TOLERANCE = 1  # accepts the previous code: clocks differ, and typing takes time
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
USERSESSIONS_TRACK_ACTIVITY = True


def _app(client_id: str, secret: str, **options: object) -> dict[str, object]:
    """The settings of our app at a provider; no app without a client id."""
    return {"APPS": [{"client_id": client_id, "secret": secret, **options}] if client_id else []}


# Sign-in with other providers.
SOCIALACCOUNT_PROVIDERS = {
    "google": _app(
        env.str("GOOGLE_CLIENT_ID", default=""), env.str("GOOGLE_CLIENT_SECRET", default="")
    )
    | {"SCOPE": ["profile", "email"]},
    "github": _app(
        env.str("GITHUB_CLIENT_ID", default=""), env.str("GITHUB_CLIENT_SECRET", default="")
    ),
    "microsoft": _app(
        env.str("MICROSOFT_CLIENT_ID", default=""), env.str("MICROSOFT_CLIENT_SECRET", default="")
    ),
    "openid_connect": _app(
        env.str("OIDC_CLIENT_ID", default=""),
        env.str("OIDC_CLIENT_SECRET", default=""),
        provider_id="oidc",
        name=env.str("OIDC_NAME", default="Single sign-on"),
        settings={"server_url": env.str("OIDC_SERVER_URL", default="")},
    ),
}
INSTALLED_APPS += [
    f"allauth.socialaccount.providers.{name}"
    for name in ("google", "github", "microsoft")
    if SOCIALACCOUNT_PROVIDERS[name]["APPS"]
]
SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
# Sign-in starts with a link: our Content-Security-Policy (form-action 'self') blocks forms that
# redirect to another host. The provider's response is bound to the session in any case.
SOCIALACCOUNT_LOGIN_ON_GET = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 20  # seconds: a mail server that does not answer delays no page for longer
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Transcodio <noreply@localhost>")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}

# Events of the audit log are deleted after this time.
AUDIT_LOG_RETENTION_DAYS = env.int("AUDIT_LOG_RETENTION_DAYS", default=365)

# --- Security: follows from SITE_URL being https, except for what also binds other hosts ---------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Off unless chosen: both also bind hosts that this installation does not serve, and neither can be
# undone quickly.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # they warn where either is off
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Language, time, logs ---------------------------------------------------------------------
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
