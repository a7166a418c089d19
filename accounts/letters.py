"""Letters to people: the same words as plain text, and in the house's HTML."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string


def send(to: str, subject: str, template: str, **context: Any) -> None:
    """Renders `email/<template>.txt` and `.html`, and sends them. Raises OSError if it cannot."""
    context |= {"site": settings.SITE_URL}
    line = " ".join(subject.split())  # a title can hold no header of its own
    letter = EmailMultiAlternatives(
        line, render_to_string(f"email/{template}.txt", context), to=[to]
    )
    letter.attach_alternative(render_to_string(f"email/{template}.html", context), "text/html")
    letter.send()


def dress(letter: EmailMessage) -> EmailMessage:
    """Gives a letter of plain text its HTML: paragraphs, and links that can be clicked."""
    if isinstance(letter, EmailMultiAlternatives) and not letter.alternatives:
        html = render_to_string("email/plain_text.html", {"text": letter.body})
        letter.attach_alternative(html, "text/html")
    return letter
