"""The settings page of one's data."""

from __future__ import annotations

from django.urls import path

from transcriptions import data

app_name = "data"
urlpatterns = [
    path("", data.settings_page, name="settings"),
    path("takeout/", data.takeout, name="takeout"),
    path("goodbye/", data.goodbye, name="goodbye"),
]
