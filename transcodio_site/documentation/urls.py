"""The routes below /docs/."""

from __future__ import annotations

from django.urls import path

from transcodio_site.documentation import views

app_name = "docs"
urlpatterns = [
    path("", views.index, name="index"),
    path("search/", views.search_page, name="search"),
    path("images/<str:name>", views.image, name="image"),
    path("<slug:name>/", views.page, name="page"),
]
