"""Untrusted media: detection of the format, and conversion to a WAV for engines. Only FFmpeg opens
such files, in a sandbox."""
