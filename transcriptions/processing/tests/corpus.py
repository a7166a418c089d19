"""Hostile media files, made from nothing or from small recordings, always the same."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from transcodio_site.testing import Media

SMALL = {  # a second and a half of each kind of container
    "a.mp3": ("-b:a", "32k"),
    "a.wav": ("-ar", "8000"),
    "a.m4a": ("-b:a", "32k"),
    "a.flac": ("-ar", "8000"),
    "a.ogg": ("-c:a", "libvorbis", "-ar", "16000"),
    "a.opus": ("-b:a", "16k"),
    "a.webm": ("-b:a", "16k"),
    "a.mkv": ("-c:a", "flac", "-ar", "8000"),
}
# The same of those that are rare: a few damaged copies of each are enough for every test run.
RARE = {
    "a.aac": ("-b:a", "32k"),
    "a.aiff": ("-ar", "8000"),
    "a.caf": ("-c:a", "alac", "-ar", "8000"),
    "a.au": ("-ar", "8000"),
    "a.w64": ("-c:a", "adpcm_ms", "-ar", "8000"),
    "a.wma": ("-b:a", "32k"),
    "a.ts": ("-b:a", "64k"),
    "a.avi": ("-b:a", "32k"),
    "a.flv": ("-b:a", "32k"),
    "a.mpeg": ("-b:a", "64k"),
    "a.mp2": ("-b:a", "64k"),
    "a.amr": ("-ar", "8000", "-ac", "1"),
    "a.3gp": ("-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"),
    "a.mxf": ("-f", "mxf_opatom", "-c:a", "pcm_s16le"),
    "a.rm": ("-c:a", "ac3", "-b:a", "32k"),
    "a.ac3": ("-b:a", "32k"),
    "a.dts": ("-strict", "-2"),
    "a.wv": ("-ar", "16000"),
    "a.tta": ("-ar", "8000"),
    "a.voc": ("-ar", "8000"),
    "a.latm": ("-c:a", "aac", "-b:a", "32k"),
    "a.eac3": ("-b:a", "32k"),
    "a.sox": ("-ar", "8000"),
    "a.sf": ("-f", "ircam", "-ar", "8000"),
}


def small(media: Media, name: str) -> bytes:
    """A short recording in the format that `name` ends with."""
    return media.speech(name, 1.5, *(SMALL | RARE)[name]).read_bytes()


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


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def avi_with_subtitles(samples: bytes, subtitles: str) -> bytes:
    """An AVI with 8-bit samples at 8 kHz, and with a file of subtitles."""
    layouts = {b"auds": struct.pack("<HHIIHHH", 1, 1, 8_000, 8_000, 1, 8, 0), b"txts": b""}
    streams = b""
    for kind, layout in layouts.items():
        numbers = (1, 8_000, 0, len(samples), len(samples), 0, 1, 0, 0)
        head = struct.pack("<4sIIII9I", kind, 0, 0, 0, 0, *numbers)
        streams += chunk(b"LIST", b"strl" + chunk(b"strh", head) + chunk(b"strf", layout))
    head = struct.pack("<14I", 0, 0, 0, 0, 0, 0, len(layouts), *[0] * 7)
    name, text = "a\0".encode("utf-16-le"), subtitles.encode()
    file = b"GAB2\0" + struct.pack("<HI", 2, len(name)) + name + struct.pack("<HI", 4, len(text))
    movie = b"movi" + chunk(b"01tx", file + text) + chunk(b"00wb", samples)
    lists = chunk(b"LIST", b"hdrl" + chunk(b"avih", head) + streams) + chunk(b"LIST", movie)
    return chunk(b"RIFF", b"AVI " + lists)


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


def matroska_with_tracks(count: int) -> bytes:
    """A Matroska file with `count` audio tracks, also more than FFmpeg writes. One has audio."""
    codec = element(b"\x86", b"A_PCM/INT/LIT")
    layout = element(b"\xb5", struct.pack(">d", 8_000)) + element(b"\x9f", b"\1")
    layout = element(b"\xe1", layout + element(b"\x62\x64", b"\x10"))
    tracks = b""
    for number in range(1, count + 1):
        index = number.to_bytes(4, "big")
        entry = element(b"\xd7", index) + element(b"\x73\xc5", index) + element(b"\x83", b"\2")
        tracks += element(b"\xae", entry + codec + layout)
    block = element(b"\xa3", b"\x81\0\0\x80" + bytes(16_000))
    cluster = element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\0") + block)
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", tracks) + cluster)


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
