"""The audit log and API tokens in the admin site."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin_base import AppendOnlyAdmin, email_of
from accounts.models import ApiToken, AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(AppendOnlyAdmin):
    """The audit log, read-only."""

    list_display = ("created_at", "account", "acted_by", "action", "detail", "address")
    fields = ("created_at", "account", "acted_by", "action", "recording", "detail", "address")
    list_filter = ("action", "created_at")
    search_fields = ("user__exact", "detail", "address")
    list_select_related = False
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Add the email addresses of existing accounts."""
        rows: QuerySet[AuditEvent] = super().get_queryset(request)
        return rows.annotate(email=email_of("user_id"), actor_email=email_of("actor_id"))

    @admin.display(description=_("Account"))
    def account(self, event: AuditEvent) -> str:
        """The email address, or the pseudonym of a deleted account."""
        return getattr(event, "email", None) or str(event.user_id or event.pseudonym or "")

    @admin.display(description=_("By"))
    def acted_by(self, event: AuditEvent) -> str:
        """The user who acted on the account, if not its owner."""
        actor = event.actor_id or event.actor_pseudonym or ""
        return getattr(event, "actor_email", None) or str(actor)


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
