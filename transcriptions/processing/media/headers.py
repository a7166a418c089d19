"""Sizes in the headers of uncompressed recordings: what was to come, or only a placeholder.

A program that writes to a pipe does not know the size when it writes the header. It writes 0, the
largest number, or a round one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

WAV = (b"RIFF", b"RF64", b"BW64")
HEAD_BYTES = 64 << 10  # within which the samples start
# Writers subtract the length of the header from 2^31 - 1.
LEAST_UNBOUNDED_BYTES = 0x7FFF_0000
LEAST_UNBOUNDED_BYTES_64 = 1 << 62  # of formats with sizes of 64 bits
LEAST_ROUND_BYTES = 100_000_000
ROUND_BYTES = (1_000_000, 1 << 20)


def received_share(path: Path) -> float | None:
    """The share of the file that has arrived, 0 to 1; None if its sizes are placeholders. FFmpeg
    looks only at what has arrived. 1 for a format that has no size at its start."""
    sizes = list(_sizes(_head(path)))
    if any(_is_placeholder(size, limit) for size, limit in sizes):
        return None
    return min(1.0, path.stat().st_size / sizes[0][0]) if sizes else 1.0


def is_wav_of_unknown_size(path: Path) -> bool:
    """Whether the samples of a WAV reach to the end of the file, whatever its header says."""
    head = _head(path)  # other formats are RIFF, too, such as AVI
    is_wav = head.startswith(WAV) and head[8:12] == b"WAVE"
    return is_wav and received_share(path) is None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_placeholder(size: int, limit: int) -> bool:
    is_round = size >= LEAST_ROUND_BYTES and not all(size % unit for unit in ROUND_BYTES)
    return size == 0 or size >= limit or is_round


def _sizes(head: bytes) -> Iterator[tuple[int, int]]:
    """Each size that the header has: of the file (without a few bytes of its start), then of the
    samples; and from which value on it means that there is no end."""
    if head.startswith(WAV):
        yield from _riff_sizes(head)
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        yield int.from_bytes(head[4:8], "big"), LEAST_UNBOUNDED_BYTES
    elif head[:4] == b".snd":
        yield int.from_bytes(head[8:12], "big"), LEAST_UNBOUNDED_BYTES
    elif head[:4] == b"riff":  # Wave64: a GUID, then the size of the file
        yield int.from_bytes(head[16:24], "little"), LEAST_UNBOUNDED_BYTES_64


def _riff_sizes(head: bytes) -> Iterator[tuple[int, int]]:
    if head[:4] != b"RIFF" and head[12:16] == b"ds64":  # these replace the sizes of 32 bits
        yield int.from_bytes(head[20:28], "little"), LEAST_UNBOUNDED_BYTES_64
        yield int.from_bytes(head[28:36], "little"), LEAST_UNBOUNDED_BYTES_64
        return
    yield int.from_bytes(head[4:8], "little"), LEAST_UNBOUNDED_BYTES
    position = 12
    while position + 8 <= len(head):
        size = int.from_bytes(head[position + 4 : position + 8], "little")
        if head[position : position + 4] == b"data":
            yield size, LEAST_UNBOUNDED_BYTES
            return
        position += 8 + size + size % 2
