"""Hostile media files, made from nothing or from small recordings, always the same."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from transcodio_site.testing import Media

SMALL = {  # of every container that is accepted, a second and a half
    "a.mp3": ("-b:a", "32k"),
    "a.wav": ("-ar", "8000"),
    "a.m4a": ("-b:a", "32k"),
    "a.flac": ("-ar", "8000"),
    "a.ogg": ("-c:a", "libvorbis", "-ar", "16000"),
    "a.opus": ("-b:a", "16k"),
    "a.webm": ("-b:a", "16k"),
    "a.mkv": ("-c:a", "flac", "-ar", "8000"),
}


def small(media: Media, name: str) -> bytes:
    """A short recording in the format that `name` ends with."""
    return media.speech(name, 1.5, *SMALL[name]).read_bytes()


def flips(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies with one to eight changed bits. Half of the copies are damaged in the first 512 bytes,
    where most formats have their header."""
    chance = random.Random(seed)
    for number in range(count):
        damaged = bytearray(content)
        end = min(512, len(content)) if number % 2 else len(content)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(end)] ^= 1 << chance.randrange(8)
        yield bytes(damaged)


def truncations(content: bytes, percent: int) -> Iterator[bytes]:
    """The first 0 %, `percent` %, ... of the file."""
    return (content[: len(content) * part // 100] for part in range(0, 100, percent))


def wav(hertz: int, channels: int, bits: int, data: bytes, claimed: int | None = None) -> bytes:
    """A WAV file that claims to have `claimed` bytes of audio."""
    size, frame = len(data) if claimed is None else claimed, channels * bits // 8
    layout = struct.pack("<HHIIHH", 1, channels, hertz, hertz * frame, frame, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", (len(head) + size) & 0xFFFFFFFF) + head + data


def atom(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4 file."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def element(number: bytes, content: bytes) -> bytes:
    """An element of a Matroska file."""
    return number + b"\x01" + len(content).to_bytes(7, "big") + content


def nested_mp4(depth: int) -> bytes:
    """Boxes within boxes."""
    inner = b""
    for kind in (b"moov", b"udta", b"meta", b"ilst") * (depth // 4):
        inner = atom(kind, inner)
    return atom(b"ftyp", b"isom\0\0\2\0isom") + inner


def nested_matroska(depth: int) -> bytes:
    """Tags within tags."""
    inner = b""
    for _ in range(depth):
        inner = element(b"\x67\xc8", element(b"\x45\xa3", b"TITLE") + inner)
    tags = element(b"\x12\x54\xc3\x67", element(b"\x73\x73", inner))
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    return head + element(b"\x18\x53\x80\x67", tags)


def many_streams(media: Media, count: int) -> Path:
    """A Matroska file with `count` audio tracks."""
    tracks = [part for _ in range(count) for part in ("-map", "0:a")]
    source = str(media.silence("short.wav", 0.2))
    return media.make(f"{count}.mka", "-i", source, *tracks, "-c", "copy", "-t", "0.1")


def with_external_reference(movie: bytes, target: str) -> bytes:
    """A QuickTime movie whose sound is in another file, by an alias of the Macintosh."""
    path = target.encode()
    alias = bytes(10) + b"\4disk" + bytes(23) + bytes(12)
    alias += b"\5sound" + bytes(58) + bytes(16) + struct.pack(">HH", 0, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2) + b"\xff\xff\0\0"
    start = movie.index(b"dref") - 4
    size = int.from_bytes(movie[start : start + 4], "big")
    entry = atom(b"alis", bytes(4) + alias)
    changed = bytearray(
        movie[:start] + atom(b"dref", bytes(7) + b"\1" + entry) + movie[start + size :]
    )
    growth = len(entry) + 16 - size
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        position = movie.index(parent) - 4
        grown = int.from_bytes(movie[position : position + 4], "big") + growth
        changed[position : position + 4] = grown.to_bytes(4, "big")
    return bytes(changed)
