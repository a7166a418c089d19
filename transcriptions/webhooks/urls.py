"""Routes of the webhook settings."""

from __future__ import annotations

from django.urls import path

from transcriptions.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("", views.endpoints, name="endpoints"),
    path("<int:endpoint_id>/", views.deliveries, name="deliveries"),
    path("<int:endpoint_id>/test/", views.test, name="test"),
    path("<int:endpoint_id>/enable/", views.enable, name="enable"),
    path("<int:endpoint_id>/rotate/", views.rotate, name="rotate"),
    path("<int:endpoint_id>/delete/", views.delete, name="delete"),
    path("<int:endpoint_id>/deliveries/<id:delivery_id>/replay/", views.replay, name="replay"),
]
