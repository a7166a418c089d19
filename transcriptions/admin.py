"""Recordings in the admin site: to be looked at, not to be edited by hand."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from transcriptions.models import Transcription


@admin.register(Transcription)
class TranscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("title", "owner", "state", "duration", "language", "engine", "created_at")
    list_filter = ("state", "engine", "created_at")
    list_select_related = ("owner",)
    search_fields = ("title", "owner__email", "id")
    exclude = ("spans", "peaks", "source", "audio")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Recordings come in by upload alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """States change by methods of the model, under a lease."""
        return False

    def delete_model(self, request: HttpRequest, obj: Transcription) -> None:
        """With its files."""
        obj.remove()

    def delete_queryset(self, request: HttpRequest, queryset: object) -> None:
        """With their files."""
        for row in queryset:  # type: ignore[attr-defined]
            row.remove()
