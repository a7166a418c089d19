"""The command line itself: what can be said, what is shown, and with which status it ends."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from transcodio_site import __version__
from transcodio_site.cli.client import ApiError, Client, NotAllowed, readable

FORMATS = ("txt", "srt", "vtt", "json")
AT_ONCE = 3  # recordings on their way side by side
INTERRUPTED = 130

STATUSES = """\
exit status: 0 done; 1 a recording was refused or failed; 2 wrong usage;
3 the token is not accepted; 4 the server does not answer; 130 interrupted"""

# What is shown while it goes on is for eyes; standard output is for the result alone.
show = Console(stderr=True, highlight=False)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Ends the process."""
    options = parser().parse_args(arguments)
    if getattr(options, "format", "") is None:
        ending = options.output.suffix.lower()[1:] if options.output else ""
        options.format = ending if ending in FORMATS else "txt"
    try:
        status = options.run(Client(options.server.rstrip("/"), options.token.strip()), options)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except NotAllowed as error:
        complain(f"{error} Use --token, or set TRANSCODIO_TOKEN.")
        status = error.exit_status
    except ApiError as error:
        complain(str(error))
        status = error.exit_status
    except OSError as error:
        complain(told(error))
        status = 1
    except KeyboardInterrupt:
        complain("Interrupted. What has been uploaded goes on at the server: transcodio list")
        os._exit(INTERRUPTED)  # threads that wait for the server would keep us here
    sys.exit(status)


def positive(text: str) -> int:
    """Raises ValueError, which is wrong usage."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parser() -> argparse.ArgumentParser:
    """All that can be said."""
    top = argparse.ArgumentParser(
        prog="transcodio",
        description="Recordings into text, live.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"transcodio {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--server",
        default=os.environ.get("TRANSCODIO_SERVER", "http://127.0.0.1:8000"),
        help="its address (or TRANSCODIO_SERVER; default %(default)s)",
    )
    common.add_argument(
        "--token",
        default=os.environ.get("TRANSCODIO_TOKEN", ""),
        help="an API token (better: TRANSCODIO_TOKEN)",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("transcribe", parents=[common], help="upload and read along")
    one.set_defaults(run=transcribe)
    one.add_argument("files", nargs="+", type=Path, metavar="FILE")
    one.add_argument(
        "-l", "--language", type=readable, default="", help="such as en; else it is detected"
    )
    one.add_argument("-f", "--format", choices=FORMATS, help="default: txt, or as -o ends")
    one.add_argument("-o", "--output", type=Path, help="a file, or a folder for several")
    one.add_argument("--no-stream", action="store_true", help="show nothing until it is done")

    listing = commands.add_parser("list", parents=[common], help="your recordings")
    listing.set_defaults(run=library)
    listing.add_argument("-q", "--search", type=readable, default="", help="words in title or text")
    listing.add_argument("--state", type=readable, default="", help="such as completed or failed")
    listing.add_argument("-n", "--limit", type=positive, default=20, help="at most (default 20)")

    take = commands.add_parser("export", parents=[common], help="a transcript as a file")
    take.set_defaults(run=export)
    take.add_argument("id", type=readable, metavar="ID")
    take.add_argument("-f", "--format", choices=FORMATS, help="default: txt, or as -o ends")
    take.add_argument("-o", "--output", type=Path)
    return top


# --- Commands -----------------------------------------------------------------------------------


def transcribe(client: Client, options: argparse.Namespace) -> int:
    """Several at once; results in the order of the files. The worst status counts."""
    files, output = options.files, options.output
    targets: list[Path | None] = [output] * len(files)
    if output and (len(files) > 1 or output.is_dir()):
        output.mkdir(parents=True, exist_ok=True)
        targets = [*names(files, output, options.format)]
    elif len(files) > 1 and options.format != "txt":
        complain(f"Several files as {options.format}: say where to put them, with -o FOLDER.")
        return 2
    for target in targets:
        check_target(target)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    blind = options.no_stream or not show.is_terminal
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        with Progress(*columns, console=show, transient=True, disable=blind) as bars:
            jobs = [Job(client, *pair, options, bars) for pair in zip(files, targets, strict=True)]
            worst = 0
            for job, status in zip(jobs, pool.map(Job.run, jobs), strict=True):
                job.put_result()
                worst = max(worst, status)
            return worst
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def library(client: Client, options: argparse.Namespace) -> int:
    """A table for eyes, tabs for pipes."""
    rows = client.library(options.limit, q=options.search, state=options.state)
    cells = [
        (row["id"], row["state"], clock(row["duration"]), row["created_at"][:16], row["title"])
        for row in rows
    ]
    if not sys.stdout.isatty():
        put("".join("\t".join(line) + "\n" for line in cells).encode())
        return 0
    table = Table("ID", "State", "Length", "Uploaded (UTC)", "Title", box=None)
    table.columns[0].no_wrap = True
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
    return 0


def export(client: Client, options: argparse.Namespace) -> int:
    """To a file or to standard output."""
    check_target(options.output)
    content = client.export(options.id, options.format)
    if options.output:
        options.output.write_bytes(content)
    else:
        put(content)
    return 0


class Job:
    """One file on its way."""

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
        """The exit status of this one. A wrong token is everybody's problem: raises NotAllowed."""
        try:
            result = self._transcript(self._upload())
            if self.target:
                self.target.write_bytes(result)
            self.result = result
        except NotAllowed:
            raise
        except ApiError as error:
            complain(f"{self.name}{error}")
            return error.exit_status
        except OSError as error:
            complain(told(error) if error.filename else f"{self.name}{error.strerror or error}")
            return 1
        return 0

    def put_result(self) -> None:
        """To standard output, unless it went to a file or has been read already."""
        if self.target:
            if self.result:
                show.print(Text(readable(str(self.target))))
            return
        read = sys.stdout.isatty() and self.options.format == "txt" and not self.options.no_stream
        if self.result and not read:
            put(self.name.encode() + self.result)

    def _upload(self) -> str:
        size = self.path.stat().st_size if self.path.is_file() else None
        bar = self.bars.add_task(escape(readable(self.path.name)), total=size)
        try:
            sent = partial(self._sent, bar)
            return str(self.client.upload(self.path, self.options.language, sent)["id"])
        finally:
            self.bars.remove_task(bar)

    def _sent(self, bar: TaskID, amount: int) -> None:
        self.bars.update(bar, completed=amount)

    def _transcript(self, id: str) -> bytes:
        for event in self.client.events(id):
            if event["type"] == "progress" and not self.options.no_stream:
                segment = event["segment"]
                time = Text(f"{clock(segment['start']):>7}  ", style="dim")
                show.print(time, Text(self.name + segment["text"]), sep="", soft_wrap=True)
            elif event["type"] == "error":
                raise ApiError(event["detail"])
            elif event["type"] == "complete" and event["note"]:
                complain(f"{self.name}{event['note']}")
        return self.client.export(id, self.options.format)


# --- What they stand on -------------------------------------------------------------------------


def names(files: list[Path], folder: Path, form: str) -> Iterator[Path]:
    """A name for the result of each file: two of one name do not overwrite each other's."""
    taken: set[str] = set()
    for file in files:
        stem, number = file.stem, 1
        while stem in taken:
            number += 1
            stem = f"{file.stem}-{number}"
        taken.add(stem)
        yield folder / f"{stem}.{form}"


def check_target(path: Path | None) -> None:
    """Raises OSError if nothing can be written there: said before anything is uploaded."""
    if path is None:
        return
    if path.is_dir():
        raise refused(errno.EISDIR, path)
    place = path if path.exists() else path.parent
    if not place.exists():
        raise refused(errno.ENOENT, place)
    if place != path and not place.is_dir():
        raise refused(errno.ENOTDIR, place)
    if not os.access(place, os.W_OK):
        raise refused(errno.EACCES, place)


def refused(number: int, path: Path) -> OSError:
    """As the system itself would say it."""
    return OSError(number, os.strerror(number), str(path))


def told(error: OSError) -> str:
    """Which file, and what is wrong with it."""
    where = f"{readable(os.fsdecode(error.filename))}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def put(content: bytes) -> None:
    """The result, as it came, to standard output."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def complain(sentence: str) -> None:
    """On standard error."""
    show.print(Text(f"transcodio: {sentence}"), soft_wrap=True)


def clock(seconds: float | None) -> str:
    """m:ss or h:mm:ss."""
    whole = int(seconds or 0)
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")
