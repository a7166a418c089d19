"""Kyutai STT: its checkpoint, the decoder of many streams together, and the local engine."""
