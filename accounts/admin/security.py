"""The audit log and API tokens in the admin site."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from accounts.admin_base import AppendOnlyAdmin
from accounts.models import ApiToken, AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(AppendOnlyAdmin):
    """The audit log, read-only."""

    list_display = ("created_at", "user_id", "actor_id", "action", "detail", "address")
    list_filter = ("action", "created_at")
    search_fields = ("user__exact", "detail", "address")
    list_select_related = False
    show_full_result_count = False


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "hint", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__email")
    readonly_fields: ClassVar = ["user", "hint", "created_at", "last_used_at"]
    exclude = ("digest",)

    def has_add_permission(self, request: object) -> bool:
        """Always False: the form could not show the secret. Use `manage.py create_token`
        instead."""
        return False
