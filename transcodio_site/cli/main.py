"""The command line: arguments, output and exit status."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from transcodio_site import __version__
from transcodio_site.cli.client import ApiError, Client, NotAuthorized, readable
from transcodio_site.cli.export_options import FORMATS, add_export_options, export_query
from transcodio_site.cli.files import check_target, os_error_message, target_paths
from transcodio_site.cli.live import add_live_parser
from transcodio_site.cli.output import clock, print_error, progress_console, write_result

PARAMETERS = ("language", "channels", "track")  # of an upload
MAX_PARALLEL = 3  # recordings processed in parallel
INTERRUPTED_STATUS = 130

STATUSES = """\
exit status: 0 success; 1 a recording was refused or failed; 2 usage error;
3 the token is not accepted; 4 the server does not respond; 130 interrupted"""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    options = parser().parse_args(arguments)
    if getattr(options, "format", "") is None:
        extension = options.output.suffix.lower()[1:] if options.output else ""
        options.format = extension if extension in FORMATS else "txt"
    try:
        status = options.run(Client(options.server.rstrip("/"), options.token.strip()), options)
    except BrokenPipeError:  # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except NotAuthorized as error:
        print_error(f"{error} Use --token, or set TRANSCODIO_TOKEN.")
        status = error.exit_status
    except ApiError as error:
        print_error(str(error))
        status = error.exit_status
    except OSError as error:
        print_error(os_error_message(error))
        status = 1
    except KeyboardInterrupt:
        print_error("Interrupted. Uploaded recordings continue on the server: transcodio list")
        os._exit(INTERRUPTED_STATUS)  # without waiting for threads that wait for the server
    sys.exit(status)


def positive(text: str) -> int:
    """A number above zero. Raises ValueError, which argparse reports as a usage error."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def track(text: str) -> str:
    """A number from zero. Raises ValueError."""
    if not text.isdecimal():
        raise ValueError
    return text


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    root_parser = argparse.ArgumentParser(
        prog="transcodio",
        description="Turn recordings into text, live.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root_parser.add_argument("--version", action="version", version=f"transcodio {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--server",
        default=os.environ.get("TRANSCODIO_SERVER", "http://127.0.0.1:8000"),
        help="URL of the server (or TRANSCODIO_SERVER; default %(default)s)",
    )
    common.add_argument(
        "--token",
        default=os.environ.get("TRANSCODIO_TOKEN", ""),
        help="API token (TRANSCODIO_TOKEN is safer)",
    )
    commands = root_parser.add_subparsers(required=True, metavar="COMMAND")
    _add_transcribe(commands, common)
    add_live_parser(commands, common)
    _add_list(commands, common)
    _add_export(commands, common)
    _add_speakers(commands, common)
    _add_import(commands, common)
    return root_parser


def _add_transcribe(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("transcribe", parents=[common], help="upload and follow live")
    parser.set_defaults(run=transcribe)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "-l", "--language", type=readable, default="", help="such as en; default: detected"
    )
    parser.add_argument(
        "--channels",
        choices=("mix", "separate"),
        default="",
        help="separate: transcribe each channel separately, such as in a telephone call",
    )
    parser.add_argument(
        "--track",
        type=track,
        metavar="N",
        help="audio track of a video, from 0; default: the one with speech",
    )
    parser.add_argument(
        "--speakers",
        type=positive,
        nargs="?",
        const=0,
        metavar="N",
        help="detect speakers; N: their number, if known",
    )
    parser.add_argument("-o", "--output", type=Path, help="a file, or a folder for several results")
    parser.add_argument("--no-stream", action="store_true", help="print only the result")
    add_export_options(parser)


def _add_list(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("list", parents=[common], help="list your recordings")
    parser.set_defaults(run=library)
    parser.add_argument("-q", "--search", type=readable, default="", help="words in title or text")
    parser.add_argument("--state", type=readable, default="", help="such as completed or failed")
    parser.add_argument(
        "-n", "--limit", type=positive, default=20, help="maximum number (default 20)"
    )


def _add_export(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("export", parents=[common], help="download a transcript")
    parser.set_defaults(run=export)
    parser.add_argument("transcription_id", type=readable, metavar="ID")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "-l",
        "--language",
        type=readable,
        default="",
        help="language whose rules divide the text into subtitles; default: that of the recording",
    )
    add_export_options(parser)


def _add_speakers(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "speakers", parents=[common], help="detect the speakers of a transcript"
    )
    parser.set_defaults(run=detect_speakers)
    parser.add_argument("transcription_id", type=readable, metavar="ID")
    parser.add_argument(
        "--speakers", type=positive, metavar="N", help="number of speakers, if known"
    )


def _add_import(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "import", parents=[common], help="replace a transcript with text or subtitles"
    )
    parser.set_defaults(run=import_text)
    parser.add_argument("transcription_id", type=readable, metavar="ID")
    parser.add_argument("file", type=Path, metavar="FILE", help="SRT, VTT, ASS, JSON or text")
    parser.add_argument(
        "--force",
        action="store_true",
        help="import even if the text seems to belong to another recording",
    )


# --- Commands -----------------------------------------------------------------------------------


def transcribe(client: Client, options: argparse.Namespace) -> int:
    """Process files in parallel; results in the order of the files. Return the worst status."""
    files, output = options.files, options.output
    targets: list[Path | None] = [output] * len(files)
    if output and (len(files) > 1 or output.is_dir()):
        output.mkdir(parents=True, exist_ok=True)
        targets = [*target_paths(files, output, FORMATS[options.format])]
    elif len(files) > 1 and options.format != "txt":
        print_error(f"Several files as {options.format} need a folder: add -o FOLDER.")
        return 2
    for target in targets:
        check_target(target)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    no_progress = options.no_stream or not progress_console.is_terminal
    pool = ThreadPoolExecutor(MAX_PARALLEL)
    try:
        with Progress(
            *columns, console=progress_console, transient=True, disable=no_progress
        ) as bars:
            jobs = [Job(client, *pair, options, bars) for pair in zip(files, targets, strict=True)]
            worst = 0
            for job, status in zip(jobs, pool.map(Job.run, jobs), strict=True):
                job.print_result()
                worst = max(worst, status)
            return worst
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def library(client: Client, options: argparse.Namespace) -> int:
    """List recordings, as a table on a terminal and tab-separated otherwise."""
    rows = client.library(options.limit, q=options.search, state=options.state)
    cells = [
        (row["id"], row["state"], clock(row["duration"]), row["created_at"][:16], row["title"])
        for row in rows
    ]
    if not sys.stdout.isatty():
        write_result("".join("\t".join(line) + "\n" for line in cells).encode())
        return 0
    table = Table("ID", "State", "Length", "Uploaded (UTC)", "Title", box=None)
    table.columns[0].no_wrap = True
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
    return 0


def export(client: Client, options: argparse.Namespace) -> int:
    """Write the transcript to a file or to standard output."""
    check_target(options.output)
    query = export_query(options)
    if options.language:
        query["language"] = options.language
    content = client.export(options.transcription_id, query)
    if options.output:
        options.output.write_bytes(content)
    else:
        write_result(content)
    return 0


def import_text(client: Client, options: argparse.Namespace) -> int:
    """Replace the text of a transcript, and print how much of it matched the audio."""
    counts = client.import_text(options.transcription_id, options.file, force=options.force)
    names = ("matched", "replaced", "added", "removed")
    write_result(f"{', '.join(f'{counts[name]} {name}' for name in names)}\n".encode())
    return 0


def detect_speakers(client: Client, options: argparse.Namespace) -> int:
    """Detect the speakers of a completed recording, and print each one's share of the speech."""
    speakers = client.detect_speakers(options.transcription_id, options.speakers)
    lines = [f"{each['label']}\t{clock(each['seconds'])}\n" for each in speakers]
    write_result("".join(lines).encode())
    return 0


class Job:
    """One file to transcribe."""

    def __init__(
        self,
        client: Client,
        path: Path,
        target: Path | None,
        options: argparse.Namespace,
        bars: Progress,
    ) -> None:
        self.client, self.path, self.target, self.options = client, path, target, options
        self.bars = bars
        self.name = f"{readable(path.name)}: " if len(options.files) > 1 else ""
        self.result = b""

    def run(self) -> int:
        """Return the exit status. Raises NotAuthorized, which concerns all files."""
        try:
            result = self._transcript(self._upload())
            if self.target:
                self.target.write_bytes(result)
            self.result = result
        except NotAuthorized:
            raise
        except ApiError as error:
            print_error(f"{self.name}{error}")
            return error.exit_status
        except OSError as error:
            print_error(
                os_error_message(error)
                if error.filename
                else f"{self.name}{error.strerror or error}"
            )
            return 1
        return 0

    def print_result(self) -> None:
        """Print to standard output, unless it went to a file or was shown live."""
        if self.target:
            if self.result:
                progress_console.print(Text(readable(str(self.target))))
            return
        shown_live = (
            sys.stdout.isatty() and self.options.format == "txt" and not self.options.no_stream
        )
        if self.result and not shown_live:
            write_result(self.name.encode() + self.result)

    def _upload(self) -> str:
        size = self.path.stat().st_size if self.path.is_file() else None
        bar = self.bars.add_task(escape(readable(self.path.name)), total=size)
        try:
            on_progress = partial(self._update, bar)
            parameters = upload_parameters(self.options)
            return str(self.client.upload(self.path, parameters, on_progress)["id"])
        finally:
            self.bars.remove_task(bar)

    def _update(self, bar: TaskID, amount: int) -> None:
        self.bars.update(bar, completed=amount)

    def _transcript(self, transcription_id: str) -> bytes:
        for event in self.client.events(transcription_id):
            if event["type"] == "progress" and not self.options.no_stream:
                segment = event["segment"]
                time = Text(f"{clock(segment['start']):>7}  ", style="dim")
                progress_console.print(
                    time, Text(self.name + segment["text"]), sep="", soft_wrap=True
                )
            elif event["type"] == "error":
                raise ApiError(event["detail"])
            elif event["type"] == "complete" and event["note"]:
                print_error(f"{self.name}{event['note']}")
        return self.client.export(transcription_id, export_query(self.options))


# --- Helpers ------------------------------------------------------------------------------------


def upload_parameters(options: argparse.Namespace) -> dict[str, str]:
    """The form fields; those that are not given are empty."""
    parameters = {name: getattr(options, name) or "" for name in PARAMETERS}
    if options.speakers is None:
        return parameters
    return parameters | {"diarize": "true", "speakers": str(options.speakers or "")}
