"""Emails in plain text with an HTML version."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string


def send(to: str, subject: str, template: str, **context: Any) -> None:
    """Send what `compose` makes. Raises OSError if that fails."""
    compose(to, subject, template, **context).send()


def compose(to: str, subject: str, template: str, **context: Any) -> EmailMessage:
    """Render `email/<template>.txt` and `.html`."""
    context |= {"site": settings.SITE_URL}
    # A subject may contain a title of a user: a line break in it must not start a new header.
    one_line = " ".join(subject.split())
    text = render_to_string(f"email/{template}.txt", context)
    message = EmailMultiAlternatives(one_line, text, to=[to])
    message.attach_alternative(render_to_string(f"email/{template}.html", context), "text/html")
    return message


def attach_html(message: EmailMessage) -> EmailMessage:
    """Attach an HTML version to a plain-text message: its paragraphs, with clickable links."""
    if isinstance(message, EmailMultiAlternatives) and not message.alternatives:
        html = render_to_string("email/plain_text.html", {"text": message.body})
        message.attach_alternative(html, "text/html")
    return message
