"""URLs of the library and transcript pages."""

from __future__ import annotations

from django.urls import path

from transcriptions.library import views

app_name = "transcriptions"
urlpatterns = [
    path("", views.library, name="library"),
    path("transcriptions/<id:transcription_id>/", views.detail, name="detail"),
    path("transcriptions/rows/", views.rows, name="rows"),
    path(
        "transcriptions/<id:transcription_id>/queue/", views.queue_position, name="queue_position"
    ),
    path("transcriptions/<id:transcription_id>/cancel/", views.cancel, name="cancel"),
    path("transcriptions/<id:transcription_id>/retry/", views.retry, name="retry"),
    path("transcriptions/<id:transcription_id>/recognize/", views.recognize, name="recognize"),
    path("transcriptions/<id:transcription_id>/delete/", views.delete, name="delete"),
]
