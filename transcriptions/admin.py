"""Recordings in the admin site: their processing history and cost, and actions on them.

Nothing is edited by hand: actions run the same commands as the pages of the owner. All staff see
how a recording was processed. Its title, note and error message are content: they require the
permission `view_transcription`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.admin_base import ReadOnlyAdmin, RecentValuesFilter, StaffReadableAdmin
from accounts.audit_log import record_event
from accounts.models import Action, UsageRecord
from accounts.rate_limits import Throttled
from accounts.usage.refunds import can_refund, refund, refund_message, refundable
from transcriptions.durations import clock
from transcriptions.exceptions import AudioError, WrongState
from transcriptions.models import EndReason, LiveSession, Transcription
from transcriptions.processing import commands, history, live_recording

METADATA_FIELDS = (
    "id",
    "owner",
    "token",
    "state",
    "priority",
    "error_code",
    "engine",
    "model",
    "language",
    "format",
    "source_bytes",
    "display_duration",
    "display_speech_duration",
    "created_at",
    "completed_at",
)
# Filters for staff who may not read content.
FILTER_COLUMNS = ("id", "owner", "state", "priority", "engine", "language", "created_at")
CONTENT_FIELDS = ("title", "note", "error_message")


def run_each(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Transcription],
    command: Callable[[Transcription], None],
    detail: str,
) -> int:
    """Run a command for each recording and log it for the owner; show a warning if it is not
    possible. Return the number of recordings for which it succeeded."""
    count = 0
    for row in rows.select_related("owner"):
        try:
            command(row)
        except (WrongState, Throttled, AudioError) as error:
            model_admin.message_user(request, f"{row.id}: {error}", messages.WARNING)
        else:
            count += 1
            record_event(request, Action.ADMIN, detail, user_id=row.owner_id, recording=row.id)
    return count


@admin.register(Transcription)
class TranscriptionAdmin(StaffReadableAdmin, ReadOnlyAdmin):
    change_form_template = "admin/job.html"
    list_filter = ("state", "priority", ("engine", RecentValuesFilter), "created_at")
    list_select_related = ("owner", "live")
    show_facets = admin.ShowFacets.NEVER  # they would count all rows for each filter
    show_full_result_count = False
    actions = ("requeue", "cancel", "refund")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """The title, or the id for staff who may not read content."""
        columns = ("owner", "display_state", "display_duration", "language", "engine", "created_at")
        return ("title" if self._may_read_content(request) else "id", *columns)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Titles are searched only for staff who may read them."""
        return ("=id", "owner__email", *(["title"] if self._may_read_content(request) else []))

    def get_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        """Content fields only for staff who may read them."""
        content = CONTENT_FIELDS if self._may_read_content(request) else ()
        return (*content, *METADATA_FIELDS)

    @admin.display(description=_("State"), ordering="state")
    def display_state(self, row: Transcription) -> str:
        """The state, including whether it is live."""
        return str(row.shown_state.label)

    @admin.display(description=_("Duration"), ordering="duration")
    def display_duration(self, row: Transcription) -> str:
        """`m:ss`; empty until it is known."""
        return "" if row.duration is None else clock(row.duration)

    @admin.display(description=_("Speech duration"))
    def display_speech_duration(self, row: Transcription) -> str:
        """`m:ss` of audio that engines have processed."""
        return clock(row.speech_seconds)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Add the timeline, the attempts with their cost, and buttons for the actions."""
        context = dict(extra_context or {})
        row = self.get_object(request, object_id)
        if row is not None:
            attempts = UsageRecord.objects.filter(transcription=row.id).order_by("id")
            context |= {
                "title": gettext("Recording"),
                "subtitle": row.title if self._may_read_content(request) else str(row.id),
                "timeline": history.timeline(row),
                "attempts": attempts,
                "may_operate": self.has_operate_permission(request),
                "may_refund": can_refund(request) and refundable(attempts).exists(),
            }
        return super().change_view(request, object_id, form_url, context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Require access to content: the heading shows the title of the recording."""
        if not self._may_read_content(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    # --- Actions --------------------------------------------------------------------------------

    @admin.action(description=_("Retry or resume"), permissions=["operate"])
    def requeue(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """Enqueue failed and cancelled recordings; finished work is not repeated. The quota of
        the owner applies."""
        detail = gettext("Resumed the recording.")
        if count := run_each(self, request, rows, commands.retry, detail):
            text = ngettext("%(count)d recording queued.", "%(count)d recordings queued.", count)
            self.message_user(request, text % {"count": count})

    @admin.action(description=_("Cancel"), permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """Stop processing; stored segments are kept. Live sessions end."""
        detail = gettext("Cancelled the recording.")
        command = partial(commands.cancel, reason=EndReason.ADMINISTRATOR)
        if count := run_each(self, request, rows, command, detail):
            text = ngettext(
                "%(count)d recording cancelled.", "%(count)d recordings cancelled.", count
            )
            self.message_user(request, text % {"count": count})

    @admin.action(description=_("Refund charges"), permissions=["refund"])
    def refund(self, request: HttpRequest, rows: QuerySet[Transcription]) -> None:
        """Refund all charges of these recordings that have not been refunded."""
        charges = UsageRecord.objects.filter(transcription__in=rows.values("id"))
        self.message_user(request, refund_message(refund(request, charges)))

    # --- Permissions ----------------------------------------------------------------------------

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters by content in the query string, which would reveal it character by
        character. Django refuses lookups through the owner, but has no permissions for single
        columns."""
        visible = lookup.split("__")[0] in FILTER_COLUMNS
        allowed = super().lookup_allowed(lookup, value, request)
        return bool(allowed and (self._may_read_content(request) or visible))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Required for the actions that change recordings."""
        return bool(request.user.has_perm("transcriptions.change_transcription"))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Required for refunds."""
        return can_refund(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Require access to content too: the confirmation page shows the title."""
        return bool(super().has_delete_permission(request, obj) and self._may_read_content(request))

    def _may_read_content(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("transcriptions.view_transcription"))


@admin.register(LiveSession)
class LiveSessionAdmin(StaffReadableAdmin, ReadOnlyAdmin):
    list_display = ("recording", "owner", "status", "received", "started", "ended_at", "end_reason")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "end_reason")
    list_select_related = ("transcription__owner",)
    list_display_links = None
    ordering = ("-transcription__created_at",)
    search_fields = ("=transcription__id", "transcription__owner__email")
    show_full_result_count = False
    actions = ("end",)

    @admin.display(description=_("Recording"))
    def recording(self, session: LiveSession) -> str:
        """A link to its page."""
        url = reverse("admin:transcriptions_transcription_change", args=[session.pk])
        return format_html('<a href="{}">{}</a>', url, session.pk)

    @admin.display(description=_("Owner"), ordering="transcription__owner__email")
    def owner(self, session: LiveSession) -> str:
        """The owner of the session."""
        return str(session.transcription.owner)

    @admin.display(description=_("State"))
    def status(self, session: LiveSession) -> str:
        """Whether audio arrives."""
        if session.ended_at:
            return gettext("Ended")
        return gettext("Paused") if session.parked_at else gettext("Active")

    @admin.display(description=_("Audio received"))
    def received(self, session: LiveSession) -> str:
        """`m:ss`."""
        coding = live_recording.coding_of(session)
        return clock(session.received_bytes / coding.bytes_per_second)

    @admin.display(description=_("Started"), ordering="transcription__created_at")
    def started(self, session: LiveSession) -> datetime:
        """When it was opened."""
        return session.transcription.created_at

    @admin.action(description=_("End"), permissions=["operate"])
    def end(self, request: HttpRequest, sessions: QuerySet[LiveSession]) -> None:
        """Accept no more audio; the recordings are completed with the audio so far."""
        still_open = sessions.filter(ended_at=None)
        rows = Transcription.objects.filter(id__in=still_open.values("pk"))
        command = partial(commands.cancel, reason=EndReason.ADMINISTRATOR)
        count = run_each(self, request, rows, command, gettext("Ended the live session."))
        text = ngettext("%(count)d session ended.", "%(count)d sessions ended.", count)
        self.message_user(request, text % {"count": count})

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Required for the action."""
        return bool(request.user.has_perm("transcriptions.change_transcription"))
