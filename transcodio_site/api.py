"""The REST API: its routers, authentication, and error responses."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse, JsonResponse

from accounts.api import router as tokens
from accounts.authentication import api_auth
from accounts.usage.api import router as usage
from transcodio_site import __version__
from transcodio_site.errors import Problem, register_error_handlers
from transcodio_site.openapi import DocumentedAPI
from transcriptions.api.again import router as again
from transcriptions.api.annotations import router as notes
from transcriptions.api.captions import router as captions
from transcriptions.api.edits import router as edits
from transcriptions.api.exports import router as exports
from transcriptions.api.imports import router as imports
from transcriptions.api.speaker_splits import router as speaker_splits
from transcriptions.api.speakers import router as speakers
from transcriptions.api.subtitles import router as subtitles
from transcriptions.api.transcriptions import router as transcriptions
from transcriptions.api.uploads import router as uploads
from transcriptions.api.voices import router as voices
from transcriptions.api.waveforms import router as waveforms
from transcriptions.api.words import router as words

TAGS = {
    "transcriptions": "Recordings and their transcripts",
    "voices": "Voices that are recognized in recordings",
    "subtitles": "How subtitles follow the rules of a profile, and your own profiles",
    "direct uploads": "Uploads in parts, directly to the object storage",
    "tokens": "API tokens; only with the session of the web app",
    "usage": "What has been used this month",
}

api = DocumentedAPI(
    title="Transcodio",
    version=__version__,
    description="Transcribe audio and video. Authenticate with `Authorization: Bearer tk_...`.",
    auth=api_auth,
    docs_url=None,  # see documentation/views.py
    servers=[{"url": settings.SITE_URL, "description": "This installation"}],
    openapi_extra={
        "info": {
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "Transcodio", "url": settings.SITE_URL},
        },
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
    },
)
api.add_router("", transcriptions)
api.add_router("", exports)
api.add_router("", subtitles)
api.add_router("", speakers)
api.add_router("", speaker_splits)
api.add_router("", words)
api.add_router("", edits)
api.add_router("", notes)
api.add_router("", voices)
api.add_router("", imports)
api.add_router("", again)
api.add_router("", waveforms)
api.add_router("", captions)
api.add_router("", uploads)
api.add_router("", tokens)
api.add_router("", usage)


def error_response(problem: Problem) -> HttpResponse:
    """The format of all errors of this API."""
    body = {"detail": problem.detail, "code": problem.code}
    return JsonResponse(body, status=problem.status, headers=problem.headers)


register_error_handlers(api, error_response)
