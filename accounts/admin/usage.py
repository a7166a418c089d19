"""The usage ledger and the cost review in the admin site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.admin_base import AppendOnlyAdmin, ForAllStaff
from accounts.models import (
    UsageDay,
    UsageRecord,
)
from accounts.usage import reconciliation
from accounts.usage.refunds import may_refund, refund, sentence
from accounts.usage.reports import COLUMNS, Review, ReviewForm


@admin.register(UsageRecord)
class UsageRecordAdmin(ForAllStaff, AppendOnlyAdmin):
    """The ledger, to be read. What was wrong is taken back by another row."""

    list_display = (
        "created_at",
        "user_id",
        "transcription",
        "outcome",
        "engine",
        "gpu_type",
        "audio_ms",
        "decode_ms",
        "cost_micro_usd",
        "billed",
        "reason",
    )
    list_filter = ("outcome", "billed", "engine", "gpu_type", "created_at")
    search_fields = ("=transcription", "user__exact")
    list_select_related = False
    show_full_result_count = False
    actions = ("refund",)

    @admin.action(description="Refund: take back what was charged", permissions=["refund"])
    def refund(self, request: HttpRequest, rows: QuerySet[UsageRecord]) -> None:
        """Once for each row that was charged."""
        self.message_user(request, sentence(refund(request, rows)))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Who may change plans may give back what they charged."""
        return may_refund(request)


@admin.register(UsageDay)
class ReviewAdmin(ForAllStaff, AppendOnlyAdmin):
    """Usage and cost review: its list is the page itself."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """For all staff: to look is their work."""
        form = ReviewForm(request.GET)
        review = Review(form)
        if request.GET.get("format") == "csv" and form.is_valid():
            return review.as_csv()
        query = request.GET.copy()
        query.pop("compare", None)
        context = {
            **self.admin_site.each_context(request),
            **self._compared(review, "compare" in request.GET),
            "title": "Usage and cost review",
            "opts": self.opts,
            "form": form,
            "review": review,
            "columns": [name.replace("_", " ").replace("usd", "USD") for name in COLUMNS],
            "query": query.urlencode(),
        }
        return TemplateResponse(request, "admin/review.html", context)

    @staticmethod
    def _compared(review: Review, asked: bool) -> dict[str, Any]:
        """The bill is far away: it is fetched when somebody asks for it."""
        if not asked:
            return {"can_compare": reconciliation.is_needed(review.since, review.until)}
        try:
            return {"compared": reconciliation.compare(review.since, review.until)}
        except OSError as error:
            return {"can_compare": True, "compare_error": str(error)}
