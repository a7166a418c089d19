"""The pages."""

from __future__ import annotations

from django.urls import path

from transcriptions import views

app_name = "transcriptions"
urlpatterns = [
    path("", views.library, name="library"),
    path("transcriptions/<uuid:id>/", views.detail, name="detail"),
    path("transcriptions/<uuid:id>/row/", views.row, name="row"),
    path("transcriptions/<uuid:id>/cancel/", views.cancel, name="cancel"),
    path("transcriptions/<uuid:id>/retry/", views.retry, name="retry"),
    path("transcriptions/<uuid:id>/delete/", views.delete, name="delete"),
]
