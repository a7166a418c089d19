"""URLs of the library and transcript pages."""

from __future__ import annotations

from django.urls import path

from transcriptions.library import detection_pages, views

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
    path(
        "transcriptions/<id:transcription_id>/speakers/detect/",
        detection_pages.detect,
        name="detect",
    ),
    path(
        "transcriptions/<id:transcription_id>/speakers/detect/cancel/",
        detection_pages.cancel,
        name="cancel_detection",
    ),
    path(
        "transcriptions/<id:transcription_id>/speakers/detection/",
        detection_pages.state,
        name="detection",
    ),
    path("transcriptions/<id:transcription_id>/delete/", views.delete, name="delete"),
]
