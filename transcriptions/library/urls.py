"""The pages."""

from __future__ import annotations

from django.urls import path

from transcriptions.library import views

app_name = "transcriptions"
urlpatterns = [
    path("", views.library, name="library"),
    path("transcriptions/<id:id>/", views.detail, name="detail"),
    path("transcriptions/<id:id>/row/", views.row, name="row"),
    path("transcriptions/<id:id>/cancel/", views.cancel, name="cancel"),
    path("transcriptions/<id:id>/retry/", views.retry, name="retry"),
    path("transcriptions/<id:id>/delete/", views.delete, name="delete"),
]
