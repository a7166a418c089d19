"""Routes of the settings page of voices."""

from __future__ import annotations

from django.urls import path

from transcriptions.library import voice_pages

app_name = "voices"
urlpatterns = [
    path("", voice_pages.voices, name="list"),
    path("delete-all/", voice_pages.delete_all, name="delete-all"),
    path("<int:voice_id>/", voice_pages.rename, name="rename"),
    path("<int:voice_id>/delete/", voice_pages.delete, name="delete"),
]
