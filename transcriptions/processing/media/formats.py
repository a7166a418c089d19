"""The formats that are accepted."""

from __future__ import annotations

DEMUXERS = "mp3,wav,mov,mp4,m4a,flac,ogg,matroska,webm"
FORMATS = "MP3, WAV, M4A, FLAC, OGG, Opus, WebM or MP4"  # the same, for messages
