"""The settings page of webhooks."""

from __future__ import annotations

from django.urls import path

from transcriptions.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("", views.endpoints, name="endpoints"),
    path("<int:id>/", views.deliveries, name="deliveries"),
    path("<int:id>/test/", views.test, name="test"),
    path("<int:id>/enable/", views.enable, name="enable"),
    path("<int:id>/rotate/", views.rotate, name="rotate"),
    path("<int:id>/delete/", views.delete, name="delete"),
    path("<int:id>/deliveries/<id:delivery>/replay/", views.replay, name="replay"),
]
