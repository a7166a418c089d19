"""Recordings in the admin site: where the time went, and what can be done about it.

States change by methods of the model, under a lease; nothing is edited by hand. All staff may see
how the work went; what a recording is called and why it failed is for those who may view it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.admin_base import ReadOnlyAdmin, StaffReadableAdmin
from accounts.audit_log import record_event
from accounts.models import Action, UsageRecord
from accounts.rate_limits import Throttled
from accounts.usage.refunds import can_refund, refund, refund_message, refundable
from transcriptions.durations import clock
from transcriptions.exceptions import AudioError, WrongState
from transcriptions.models import Transcription
from transcriptions.processing import commands, history

WORK = (
    "id",
    "owner",
    "token",
    "state",
    "error_code",
    "engine",
    "model",
    "language",
    "format",
    "source_bytes",
    "length",
    "speech",
    "created_at",
    "completed_at",
)
WORDS = ("title", "note", "error_message")


@admin.register(Transcription)
class TranscriptionAdmin(StaffReadableAdmin, ReadOnlyAdmin):
    change_form_template = "admin/job.html"
    list_filter = ("state", "engine", "created_at")
    list_select_related = ("owner",)
    actions = ("requeue", "cancel", "refund")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Titles are for whom they concern."""
        shown = ("owner", "state", "length", "language", "engine", "created_at")
        return ("title" if self._may_read(request) else "id", *shown)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """What cannot be seen cannot be searched either."""
        return ("=id", "owner__email", *(["title"] if self._may_read(request) else []))

    def get_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        """See above."""
        return (*(WORDS if self._may_read(request) else ()), *WORK)

    @admin.display(description="Length", ordering="duration")
    def length(self, row: Transcription) -> str:
        """Of the recording, as players write it."""
        return "" if row.duration is None else clock(row.duration)

    @admin.display(description="Of it speech")
    def speech(self, row: Transcription) -> str:
        """What an engine had to listen to."""
        return clock(row.speech_seconds)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A job: its timeline, and every attempt with what it cost."""
        context = dict(extra_context or {})
        row = self.get_object(request, object_id)
        if row is not None:
            attempts = UsageRecord.objects.filter(transcription=row.id).order_by("id")
            context |= {
                "title": "Recording",
                "subtitle": row.title if self._may_read(request) else str(row.id),
                "timeline": history.timeline(row),
                "attempts": attempts,
                "may_operate": self.has_operate_permission(request),
                "may_refund": can_refund(request) and refundable(attempts).exists(),
            }
        return super().change_view(request, object_id, form_url, context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its heading is the title."""
        if not self._may_read(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    # --- What an operator may do ----------------------------------------------------------------

    @admin.action(description="Try again where it ended", permissions=["operate"])
    def requeue(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """What is done already is not done again; the owner's quota holds."""
        self._each(request, rows, commands.retry, "queued again")

    @admin.action(description="Cancel: stop the work on it", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """What is known by then stays."""
        self._each(request, rows, commands.cancel, "cancelled")

    @admin.action(description="Refund: give back what was charged", permissions=["refund"])
    def refund(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """All charges of these recordings that were not given back before."""
        charges = UsageRecord.objects.filter(transcription__in=rows.values("id"))
        self.message_user(request, refund_message(refund(request, charges)))

    def _each(
        self,
        request: HttpRequest,
        rows: QuerySet[Transcription],
        act: Callable[[Transcription], None],
        done: str,
    ) -> None:
        count = 0
        for row in rows.select_related("owner"):
            try:
                act(row)
            except (WrongState, Throttled, AudioError) as error:
                self.message_user(request, f"{row.id}: {error}", messages.WARNING)
            else:
                count += 1
                said = f"{request.user}: the recording “{row}” was {done}."
                record_event(request, Action.ADMIN, said, user_id=row.owner_id)
        if count:
            self.message_user(request, f"{count} recordings: {done}.")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """What cannot be seen cannot be asked for in the address either. Django refuses what lies
        behind an owner, such as passwords and other recordings, and knows no columns."""
        column, seen = lookup.split("__")[0], (*self.list_filter, "owner", "language", "id")
        allowed = super().lookup_allowed(lookup, value, request)
        return bool(allowed and (self._may_read(request) or column in seen))

    # --- Who may --------------------------------------------------------------------------------

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may change recordings."""
        return bool(request.user.has_perm("transcriptions.change_transcription"))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """See there."""
        return can_refund(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may read as well: before something is deleted it is called by its name."""
        return bool(super().has_delete_permission(request, obj) and self._may_read(request))

    def _may_read(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("transcriptions.view_transcription"))
