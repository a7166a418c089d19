"""Stores email addresses in lower case, which is how allauth looks them up."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F
from django.db.models.functions import Lower


def lower(apps: Any, _: Any) -> None:
    """Nobody could sign in with the other accounts of an address. They keep their recordings, under
    an address that gets no email, until an administrator changes or deletes them."""
    users = apps.get_model("accounts", "User")._default_manager
    for user in users.exclude(email=Lower(F("email"))).order_by("pk"):
        email = user.email.lower()
        if users.filter(email=email).exists():
            email = f"{email[:220]}.duplicate-{user.pk}.invalid"
        users.filter(pk=user.pk).update(email=email)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0034_plan_help_texts")]

    operations = [migrations.RunPython(lower, migrations.RunPython.noop)]
