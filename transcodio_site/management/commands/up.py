"""`manage.py up`: everything that Transcodio is, until Ctrl-C."""

from __future__ import annotations

import shutil
import signal
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from transcodio_site.demo_account import demo_account
from transcodio_site.supervisor import StackError, check_port, running

ROOM = 300 * 1024 * 1024  # bytes that a database and one recording need at the least


class Command(BaseCommand):
    help = "Starts the web server, the worker and the clock, and keeps them running until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Returns after Ctrl-C or SIGTERM."""
        stopping: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: stopping.append(number))
        try:
            check_port(options["host"], options["port"])  # before anything is changed
            prepare()
            with running(options["host"], options["port"]) as stack:
                self._greet(stack.url)
                stack.watch(until=lambda: bool(stopping))
                self.stdout.write("Stopping ...")
        except StackError as error:
            raise CommandError(str(error)) from None

    def _greet(self, url: str) -> None:
        self.stdout.write(f"\nTranscodio is ready: {url}\n")
        if settings.EMBEDDED:
            account = demo_account()
            self.stdout.write(f"  sign in as  {account.email}  password  {account.password}")
            self.stdout.write(f"  API token   {account.token}")
        self.stdout.write("Ctrl-C stops it; the data stays.\n")
        self.stdout.flush()
        connections.close_all()


def prepare() -> None:
    """The database in its newest shape, and room on the disk. Raises StackError."""
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < ROOM:
        raise StackError(
            f"The disk is full: {free >> 20} MB are free in {settings.VAR_DIR}, "
            f"{ROOM >> 20} MB are needed. Make room, or set VAR_DIR to another disk."
        )
    call_command("migrate", verbosity=0, interactive=False)
    if settings.EMBEDDED:
        demo_account()
    connections.close_all()
