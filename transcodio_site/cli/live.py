"""`transcodio live`: speech is transcribed while it is spoken."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

from transcodio_site.cli.audio import RATE_HZ, STDIN, Recorder, command
from transcodio_site.cli.client import ApiError, Client, readable
from transcodio_site.cli.live_connection import LiveConnection, SessionOver
from transcodio_site.cli.live_output import LivePrinter, printer
from transcodio_site.cli.output import print_error, progress_console

Json = dict[str, Any]


def add_live_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser = commands.add_parser("live", parents=[common], help="transcribe a microphone or a pipe")
    parser.set_defaults(run=live)
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="send this file at natural speed instead of the microphone; -: standard input",
    )
    parser.add_argument(
        "--device", type=readable, default="", help="microphone, as named by FFmpeg"
    )
    parser.add_argument(
        "--raw",
        type=int,
        metavar="HZ",
        help="the file has 16-bit samples of one channel at this rate, without a header",
    )
    parser.add_argument(
        "-l", "--language", type=readable, default="", help="such as en; default: detected"
    )
    parser.add_argument("--title", type=readable, default="", help="of the recording")
    parser.add_argument(
        "--json", action="store_true", help="print events, one JSON object per line"
    )


def live(client: Client, options: argparse.Namespace) -> int:
    """Print what is said, and the URL of the recording at the end."""
    arguments = command(options.file, options.device, options.raw)
    with printer(options.json) as output:
        connection = LiveConnection(
            options.server.rstrip("/"),
            options.token.strip(),
            _parameters(options),
            output.show,
            lambda: print_error("The connection was lost. Your speech is kept; reconnecting."),
        )
        try:
            _run(_listen(Recorder(arguments), connection, options.file))
        except SessionOver:
            if connection.session is None:
                raise
            for event in client.events(connection.session["session"], connection.last_event_id):
                output.show(event)
    return _report(options, connection, output)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    title = options.title
    if not title and options.file not in (None, STDIN):
        title = readable(options.file.stem)
    given = {"title": title, "language": options.language, "sample_rate": str(RATE_HZ)}
    return {name: value for name, value in given.items() if value}


def _report(options: argparse.Namespace, connection: LiveConnection, output: LivePrinter) -> int:
    last = output.last_event
    if connection.session is None or last is None:
        return 0  # interrupted before anything was said
    if last["type"] == "error":
        raise ApiError(last["detail"])
    if last["note"]:
        print_error(last["note"])
    url = options.server.rstrip("/") + connection.session["url"]
    progress_console.print(url, soft_wrap=True)
    return 0


async def _listen(recorder: Recorder, connection: LiveConnection, file: Path | None) -> None:
    """Send audio until there is no more, the user stops, or the server ends the session."""
    signal.signal(signal.SIGINT, _stop(recorder))
    chunks = recorder.chunks()
    first = await anext(chunks, None)  # no session begins without audio
    if first is None:
        return
    if file is None:
        progress_console.print("Listening. Press Ctrl-C to stop.", style="dim")
    connection.add(first)
    recording = asyncio.create_task(_record(chunks, connection))
    try:
        await connection.run()
    finally:
        recorder.stop()
    await recording


async def _record(chunks: AsyncIterator[bytes], connection: LiveConnection) -> None:
    try:
        async for chunk in chunks:
            connection.add(chunk)
    finally:
        connection.finish()


def _stop(recorder: Recorder) -> Callable[[int, FrameType | None], None]:
    """Handles Ctrl-C: the first one ends the audio, and the last words follow. The second one ends
    the command."""
    loop = asyncio.get_running_loop()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        loop.call_soon_threadsafe(recorder.stop)

    return interrupt
