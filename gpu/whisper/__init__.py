"""Whisper on the CPU: the embedded engine."""

from gpu.whisper.engine import WhisperEngine

__all__ = ["WhisperEngine"]
