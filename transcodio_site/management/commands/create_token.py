"""`manage.py create_token EMAIL`: a new API token on standard output."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiToken, User


class Command(BaseCommand):
    help = "Makes an API token for a user and prints it. It cannot be shown again later."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("email", help="whose token it is")
        parser.add_argument("--create-user", action="store_true", help="make the user if missing")
        parser.add_argument("--name", default="command line", help="to tell tokens apart")

    def handle(self, *args: Any, **options: Any) -> str:
        """Prints the token alone, so that scripts can read it."""
        email = options["email"].strip().lower()
        user = User.objects.filter(email=email).first()
        if user is None and not options["create_user"]:
            raise CommandError(f"There is no user {email}. Add --create-user to make one.")
        if user is None:
            if "@" not in email:
                raise CommandError(f"{email!r} is not an e-mail address.")
            user = User.objects.create_user(email)  # without a password: it can be reset by mail
        return ApiToken.issue(user, options["name"][:100])[1]
