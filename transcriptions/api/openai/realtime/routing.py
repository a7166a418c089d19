"""The WebSocket of the Realtime API."""

from __future__ import annotations

from django.urls import path

from transcriptions.api.openai.realtime.consumer import RealtimeConsumer

websocket_urlpatterns = [path("v1/realtime", RealtimeConsumer.as_asgi())]
