"""Routes of the subtitle profiles."""

from __future__ import annotations

from django.urls import path

from transcriptions.library import profile_pages

app_name = "subtitles"
urlpatterns = [
    path("", profile_pages.profiles, name="profiles"),
    path("new/", profile_pages.new_profile, name="new"),
    path("<int:profile_id>/", profile_pages.edit_profile, name="edit"),
    path("<int:profile_id>/delete/", profile_pages.remove_profile, name="delete"),
]
