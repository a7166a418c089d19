"""The usage ledger and the usage and cost report in the admin site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.admin_base import AppendOnlyAdmin, RecentValuesFilter, StaffReadableAdmin
from accounts.models import UsageDay, UsageRecord
from accounts.usage import reconciliation
from accounts.usage.refunds import can_refund, refund, refund_message
from accounts.usage.reports import COLUMNS, UsageReport, UsageReportForm


@admin.register(UsageRecord)
class UsageRecordAdmin(StaffReadableAdmin, AppendOnlyAdmin):
    """The ledger, read-only. A refund adds another row."""

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
    list_filter = (
        "outcome",
        "billed",
        ("engine", RecentValuesFilter),
        ("gpu_type", RecentValuesFilter),
        "created_at",
    )
    show_facets = admin.ShowFacets.NEVER  # they would count all rows for each filter
    search_fields = ("=transcription", "user__exact")
    list_select_related = False
    show_full_result_count = False
    actions = ("refund",)

    @admin.action(description=_("Refund"), permissions=["refund"])
    def refund(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> None:
        """Refund the selected charges, each at most once."""
        self.message_user(request, refund_message(refund(request, queryset)))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Staff who may change plans."""
        return can_refund(request)


@admin.register(UsageDay)
class UsageReportAdmin(StaffReadableAdmin, AppendOnlyAdmin):
    """The usage and cost report, in place of a list of daily sums."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The report as a page or as CSV, for all staff."""
        form = UsageReportForm(request.GET)
        report = UsageReport(form)
        if request.GET.get("format") == "csv" and form.is_valid():
            return report.as_csv()
        query = request.GET.copy()
        query.pop("compare", None)
        context = {
            **self.admin_site.each_context(request),
            **self._comparison(report, "compare" in request.GET),
            "title": gettext("Usage and cost report"),
            "opts": self.opts,
            "form": form,
            "report": report,
            "columns": [column.label for column in COLUMNS],
            "query": query.urlencode(),
        }
        return TemplateResponse(request, "admin/usage_report.html", context)

    @staticmethod
    def _comparison(report: UsageReport, is_requested: bool) -> dict[str, Any]:
        """The comparison with the bill, only on request: reading the bill is a slow remote call."""
        if not is_requested:
            return {"can_compare": reconciliation.is_billable(report.since, report.until)}
        try:
            return {"comparison": reconciliation.compare(report.since, report.until)}
        except OSError as error:
            return {"can_compare": True, "compare_error": str(error)}
