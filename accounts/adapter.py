"""Adapters that customize django-allauth."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.shortcuts import render

from accounts import email, sign_in_limits, tasks
from accounts.invitations import invitation_in_session
from accounts.models import Invitation

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-up policy, client IP addresses and emails."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether this visitor may create an account."""
        if settings.SIGNUP == "invited":
            return invitation_in_session(request) is not None
        return bool(settings.SIGNUP == "open")

    def is_safe_url(self, url: str | None) -> bool:
        """Whether a redirect to `url` stays on this site; False if it is not a URL at all."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:  # such as "http://["
            return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's IP address, with IPv4-mapped IPv6 addresses as IPv4.

        allauth's rate limits count IPv6 addresses by network: IPv4 clients, which a server that
        listens on IPv6 sees as ::ffff:0:0/96, would all count as one client. If the request passed
        fewer proxies than TRUSTED_PROXY_COUNT, return the address of the connection. Raises
        PermissionDenied if there is none.
        """
        try:
            address = ip_address(super().get_client_ip(request))
        except ImproperlyConfigured:
            log.warning(
                "TRUSTED_PROXY_COUNT=%s, but a request came through fewer proxies: %s",
                settings.ALLAUTH_TRUSTED_PROXY_COUNT,
                request.headers.get("X-Forwarded-For", "no X-Forwarded-For"),
            )
            if not request.META.get("REMOTE_ADDR"):
                raise PermissionDenied("no IP address, as on a Unix socket") from None
            address = ip_address(request.META["REMOTE_ADDR"])
        return str(getattr(address, "ipv4_mapped", None) or address)

    # --- Failed sign-ins: see `accounts.sign_in_limits` -----------------------------------------

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """The key under which allauth counts failures: account and address together."""
        return sign_in_limits.client_key(request, self._account_key(request, **credentials))

    def _account_key(self, request: HttpRequest, **credentials: Any) -> str:
        return str(super()._get_login_attempts_cache_key(request, **credentials))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raises ValidationError after too many failures."""
        super().pre_authenticate(request, **credentials)
        attempt = sign_in_limits.admit(request, self._account_key(request, **credentials))
        if attempt is None:
            raise self.validation_error("too_many_login_attempts")
        self._attempt = attempt

    def _rollback_login_failed_rl_usage(self) -> None:
        """Called after a successful sign-in."""
        super()._rollback_login_failed_rl_usage()
        self._attempt.rollback()

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the failure for the account."""
        email = str(credentials.get("email", ""))
        sign_in_limits.count_failure(request, self._account_key(request, **credentials), email)

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Called after a password reset."""
        super()._delete_login_attempts_cached_email(request, **credentials)
        sign_in_limits.forget(request, str(credentials["email"]))

    # --- Emails ---------------------------------------------------------------------------------

    def send_mail(self, template_prefix: str, email: str, template_context: dict[str, Any]) -> None:
        """Send an email in the background, with links that lead to SITE_URL: the sender of the
        request chooses its Host header, and could otherwise put a link to another site into the
        email."""
        requested_host, site_host = context.request.get_host(), urlsplit(settings.SITE_URL).netloc
        safe_context = {
            name: value.replace(f"//{requested_host}/", f"//{site_host}/", 1)
            if isinstance(value, str)
            else value
            for name, value in template_context.items()
        }
        site = SimpleNamespace(name=site_host, domain=site_host)
        safe_context |= {"current_site": site, "request": context.request, "email": email}
        tasks.send_later(self.render_mail(template_prefix, email, safe_context))

    def render_mail(self, *args: Any, **kwargs: Any) -> EmailMessage:
        """Render allauth's email, with an HTML version in our layout."""
        return email.attach_html(super().render_mail(*args, **kwargs))


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Sign-up and sign-in with an account of a third-party provider."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Whether this visitor may create an account. An invited email address that the provider
        has verified needs no invitation link."""
        if settings.SIGNUP != "invited":
            return bool(settings.SIGNUP == "open")
        verified = [a.email.lower() for a in sociallogin.email_addresses if a.verified]
        return Invitation.pending().filter(email__in=verified).exists()

    def can_authenticate_by_email(self, sociallogin: SocialLogin, email: str) -> bool:
        """Whether the provider's address signs in to the existing account with that address.

        Only if the address is verified here too: otherwise an attacker could create an account
        with the address of another person, wait until that person signs in, and share the account.
        """
        allowed = super().can_authenticate_by_email(sociallogin, email)
        return bool(allowed and EmailAddress.objects.is_verified(email))

    def get_requests_session(self) -> requests.Session:
        """Return a session that answers with an error page when the provider is unreachable.

        Its requests raise ImmediateHttpResponse.
        """
        session: requests.Session = super().get_requests_session()
        send = session.request

        def request(*args: Any, **kwargs: Any) -> requests.Response:
            try:
                return send(*args, **kwargs)
            except requests.RequestException as error:
                log.warning("the sign-in provider does not respond: %s", error)
                page = render(context.request, "socialaccount/authentication_error.html")
                raise ImmediateHttpResponse(page) from error

        session.request = request  # type: ignore[method-assign]
        return session


def signup_policy(request: HttpRequest) -> dict[str, str]:
    """Context processor: pages offer sign-up only if `signup_mode` is "open"."""
    return {"signup_mode": settings.SIGNUP}
