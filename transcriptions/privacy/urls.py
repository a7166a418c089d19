"""Routes of the privacy page."""

from __future__ import annotations

from django.urls import path

from transcriptions.privacy import pages

app_name = "data"
urlpatterns = [
    path("", pages.settings_page, name="settings"),
    path("export/", pages.export_data, name="export"),
    path("delete-account/", pages.delete_account, name="delete-account"),
]
