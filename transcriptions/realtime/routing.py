"""WebSocket routes."""

from __future__ import annotations

from django.urls import path

from transcriptions.realtime.consumers import TranscriptionConsumer

websocket_urlpatterns = [
    path("ws/transcriptions/<id:transcription_id>/", TranscriptionConsumer.as_asgi()),
]
