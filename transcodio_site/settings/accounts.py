"""Accounts, sign-in, and email."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from transcodio_site.settings.env import HTTPS, env

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
# Confirmation also hides from visitors which addresses have an account. Without a mail server
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
    """The settings of our app at a provider; none without a client id."""
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
PROVIDER_APPS = [
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

# Events of the audit log are deleted after this time.
AUDIT_LOG_RETENTION_DAYS = env.int("AUDIT_LOG_RETENTION_DAYS", default=365)
