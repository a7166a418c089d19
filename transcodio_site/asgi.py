"""The ASGI application: Django serves HTTP, Channels serves WebSockets."""

from __future__ import annotations

import os

import django
from django.conf import settings

from transcodio_site.database import limit_statements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
django.setup(set_prefix=False)  # loads the apps, which the imports below need
limit_statements(settings.DATABASES["default"], settings.DATABASE_STATEMENT_TIMEOUT)

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from transcodio_site.asgi_handler import FileBodyHandler  # noqa: E402
from transcodio_site.websockets import CloseOnError, SameOrigin, refuse  # noqa: E402
from transcriptions.api.openai.realtime import routing as openai_realtime  # noqa: E402
from transcriptions.live import routing as live  # noqa: E402
from transcriptions.realtime.routing import websocket_urlpatterns  # noqa: E402

routes = URLRouter(
    [
        *websocket_urlpatterns,
        *live.websocket_urlpatterns,
        *openai_realtime.websocket_urlpatterns,
        re_path("", refuse),  # type: ignore[arg-type]
    ]
)
application = ProtocolTypeRouter(
    {
        "http": FileBodyHandler(),
        "websocket": CloseOnError(SameOrigin(AuthMiddlewareStack(routes))),
    }
)
