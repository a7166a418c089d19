"""The options of an export on the command line. The server knows their defaults."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from transcodio_site.cli.client import readable

# With the extension of their files.
FORMATS = {
    name: name
    for name in (
        "txt",
        "md",
        "docx",
        "pdf",
        "srt",
        "vtt",
        "ass",
        "ttml",
        "csv",
        "tsv",
        "otio",
        "json",
    )
}
FORMATS["audacity"] = "txt"
NUMBERS = {
    "offset": "add this to all times",
    "frame-rate": "frames per second of the video: cues start and end on frames",
    "start": "leave out what is said before this time",
    "end": "leave out what is said after this time",
}
SWITCHES = {
    "no-speakers": "without speaker names",
    "times": "with times, in documents for reading",
    "notes": "with highlights, comments and bookmarks, in documents for reading",
    "karaoke": "with the time of each word, in vtt",
    "top": "subtitles at the top of the picture",
}


def add_export_options(parser: ArgumentParser) -> None:
    """The format of a transcript and its options."""
    parser.add_argument(
        "-f", "--format", choices=FORMATS, help="default: from the extension of -o, else txt"
    )
    group = parser.add_argument_group("options of the file")
    group.add_argument(
        "--profile", type=readable, help="rules for subtitles, such as netflix (default) or bbc"
    )
    group.add_argument(
        "--stretch",
        type=readable,
        metavar="RATIO",
        help="multiply all times, such as by 25/23.976 for the frame rates of two videos",
    )
    for name, text in NUMBERS.items():
        metavar = "RATE" if name == "frame-rate" else "SECONDS"
        group.add_argument(f"--{name}", type=float, metavar=metavar, help=text)
    for name, text in SWITCHES.items():
        group.add_argument(f"--{name}", action="store_true", help=text)


def export_query(options: Namespace) -> dict[str, str]:
    """The parameters of the API that were given."""
    names = ("format", "profile", "stretch", *(name.replace("-", "_") for name in NUMBERS))
    given = {name: getattr(options, name) for name in names}
    query = {name: str(value) for name, value in given.items() if value is not None}
    if options.no_speakers:
        query["speakers"] = "false"
    given_switches = [name for name in SWITCHES if name != "no-speakers" and getattr(options, name)]
    return query | dict.fromkeys(given_switches, "true")
