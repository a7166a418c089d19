"""`manage.py models`: the Whisper models, what each one needs, and which are here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gpu import config
from gpu.model_catalog import CATALOG, CatalogModel, download
from gpu.types import EngineUnavailable

COLUMNS = "  {:20} {:>10} {:>10}  {:10} {}"


class Command(BaseCommand):
    help = "Lists the Whisper models that WHISPER_MODEL can name, or downloads one."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument(
            "--download", metavar="MODEL", help="download it now, before the first recording"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if a download fails."""
        if name := options["download"]:
            try:
                download(name, config.models_dir())
            except EngineUnavailable as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"{name} is available. Use it with WHISPER_MODEL={name}.")
            return
        self.stdout.write(COLUMNS.format("Model", "Download", "Memory", "Languages", "Here"))
        for model in CATALOG.values():
            self.stdout.write(self._line(model))
        self.stdout.write(
            "\nMemory is for the weights; a worker needs about 500 MB more. Larger models are more "
            f"accurate and slower, about in proportion to their size.\nWHISPER_MODEL is "
            f"{config.WHISPER_MODEL!r}."
        )

    @staticmethod
    def _line(model: CatalogModel) -> str:
        line = COLUMNS.format(
            model.name,
            f"{model.download_mb} MB" if model.download_mb else "-",
            f"{model.memory_mb} MB",
            "English" if model.is_english_only else "all",
            "yes" if model.is_here(config.models_dir()) else "no",
        )
        return f"*{line[1:]}" if model.name == config.WHISPER_MODEL else line
