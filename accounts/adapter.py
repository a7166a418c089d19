"""What allauth asks us."""

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

from accounts import email
from accounts.invitations import invitation_in_session
from accounts.models import Invitation

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """The house's answers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether this visitor may make an account."""
        if settings.SIGNUP == "invited":
            return invitation_in_session(request) is not None
        return bool(settings.SIGNUP == "open")

    def get_client_ip(self, request: HttpRequest) -> str:
        """See allauth. Who comes by IPv4 to a server that listens for IPv6 is ::ffff:192.0.2.7
        there; limits count IPv6 by networks, and all of those would be a single one. Who comes
        through fewer proxies than we trust has whatever address the connection has."""
        try:
            address = ip_address(super().get_client_ip(request))
        except ImproperlyConfigured:
            log.warning(
                "TRUSTED_PROXY_COUNT=%s, and a request came through fewer proxies: %s",
                settings.ALLAUTH_TRUSTED_PROXY_COUNT,
                request.headers.get("X-Forwarded-For", "no X-Forwarded-For"),
            )
            if not request.META.get("REMOTE_ADDR"):
                raise PermissionDenied("no address, as on a Unix socket") from None
            address = ip_address(request.META["REMOTE_ADDR"])
        return str(getattr(address, "ipv4_mapped", None) or address)

    def send_mail(self, template_prefix: str, email: str, about: dict[str, Any]) -> None:
        """With our own address in it: the Host of the request that asks for a letter is whatever
        its sender likes."""
        said, ours = context.request.get_host(), urlsplit(settings.SITE_URL).netloc
        at_home = {
            name: value.replace(f"//{said}/", f"//{ours}/", 1) if isinstance(value, str) else value
            for name, value in about.items()
        }
        site = SimpleNamespace(name=ours, domain=ours)
        super().send_mail(template_prefix, email, at_home | {"current_site": site})

    def render_mail(self, *given: Any, **named: Any) -> EmailMessage:
        """Its letters, in our clothes."""
        return email.dress(super().render_mail(*given, **named))


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes with the word of somebody else."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """An invitation is for an address, and who vouches for that opens the door as well as the
        letter does."""
        if settings.SIGNUP != "invited":
            return bool(settings.SIGNUP == "open")
        proven = [a.email.lower() for a in sociallogin.email_addresses if a.verified]
        return Invitation.open().filter(email__in=proven).exists()

    def can_authenticate_by_email(self, sociallogin: SocialLogin, email: str) -> bool:
        """Only where we know as well whose address it is: an account that somebody made with the
        address of another must not become a trap for them."""
        allowed = super().can_authenticate_by_email(sociallogin, email)
        return bool(allowed and EmailAddress.objects.is_verified(email))

    def get_requests_session(self) -> requests.Session:
        """One whose questions, if nobody answers, end on a page that says so."""
        session: requests.Session = super().get_requests_session()
        ask = session.request

        def request(*given: Any, **named: Any) -> requests.Response:
            try:
                return ask(*given, **named)
            except requests.RequestException as error:
                log.warning("the sign-in provider does not answer: %s", error)
                page = render(context.request, "socialaccount/authentication_error.html")
                raise ImmediateHttpResponse(page) from error

        session.request = request  # type: ignore[method-assign]
        return session


def signup_policy(request: HttpRequest) -> dict[str, str]:
    """For all pages: a door that is closed is not shown."""
    return {"signup_door": settings.SIGNUP}
