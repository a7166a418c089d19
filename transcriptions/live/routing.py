"""WebSockets that accept audio. Programs and other sites may use them, with an API token."""

from __future__ import annotations

from django.urls import path

from transcriptions.live.consumers import LiveConsumer

websocket_urlpatterns = [path("api/live", LiveConsumer.as_asgi())]
