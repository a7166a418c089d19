"""`manage.py create_token EMAIL`: a new API token on standard output."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import ProgrammingError

from accounts.models import User
from accounts.tokens import issue_token


class Command(BaseCommand):
    help = "Creates an API token for a user and prints it. It is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("email", help="email address of the user")
        parser.add_argument("--create-user", action="store_true", help="create the user if missing")
        parser.add_argument("--name", default="command line", help="name of the token")

    def handle(self, *args: Any, **options: Any) -> str:
        """Print only the token, so that scripts can read it."""
        email = options["email"].strip().lower()
        try:
            user = User.objects.filter(email=email).first() or _create_user(
                email, options["create_user"]
            )
        except ProgrammingError:
            detail = (
                "The database has no tables yet: `make run` or `manage.py migrate` creates them."
            )
            raise CommandError(detail) from None
        return issue_token(user, options["name"][:100])[1]


def _create_user(email: str, create: bool) -> User:
    try:
        validate_email(email)
    except ValidationError:
        raise CommandError(f"{email!r} is not an email address.") from None
    if not create:
        raise CommandError(f"There is no user {email}. Add --create-user to create one.")
    return User.objects.create_user(email)  # without a password: it can be reset by email
