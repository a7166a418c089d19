"""The settings page of one's data."""

from __future__ import annotations

from django.urls import path

from transcriptions.privacy import pages

app_name = "data"
urlpatterns = [
    path("", pages.settings_page, name="settings"),
    path("takeout/", pages.export_data, name="takeout"),
    path("goodbye/", pages.delete_account, name="goodbye"),
]
