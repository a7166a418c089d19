"""The usage ledger and the usage and cost report in the admin site."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import floatformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.admin_base import (
    AppendOnlyAdmin,
    RecentValuesFilter,
    StaffReadableAdmin,
    email_of,
)
from accounts.models import UsageDay, UsageRecord
from accounts.models.usage import MS_PER_SECOND
from accounts.usage import reconciliation, revenue
from accounts.usage.refunds import can_refund, refund, refund_message
from accounts.usage.report_form import GROUPINGS, UsageReportForm, preset_links
from accounts.usage.reports import UsageReport

log = logging.getLogger(__name__)


@admin.register(UsageRecord)
class UsageRecordAdmin(StaffReadableAdmin, AppendOnlyAdmin):
    """The ledger, read-only. A refund adds another row."""

    list_display = (
        "created_at",
        "account",
        "outcome",
        "audio",
        "cost",
        "engine_time",
        "billed",
        "engine",
        "gpu_type",
        "reason",
        "transcription",
    )
    fields = (
        *("created_at", "account", "token_used", "transcription", "outcome", "billed", "reason"),
        *("engine", "model", "gpu_type", "audio", "uncharged_audio", "engine_time", "queue_time"),
        *("cold_start", "price", "cost", "corrected_record"),
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[UsageRecord]:
        """Add the email address of each account, unless it was deleted."""
        rows: QuerySet[UsageRecord] = super().get_queryset(request)
        return rows.annotate(email=email_of("user_id"))

    @admin.display(description=_("Account"))
    def account(self, record: UsageRecord) -> str:
        """The email address; for a deleted account its number, by which it can be searched."""
        deleted = gettext("%(number)d (deleted)") % {"number": record.user_id}
        return getattr(record, "email", None) or deleted

    @admin.display(description=_("Token"))
    def token_used(self, record: UsageRecord) -> str:
        """The number of the token, which may have been deleted."""
        return gettext("Web app") if record.token_id is None else str(record.token_id)

    @admin.display(description=_("Audio"), ordering="audio_ms")
    def audio(self, record: UsageRecord) -> str:
        """Charged audio; negative in a refund."""
        sign = "−" if record.audio_ms < 0 else ""  # noqa: RUF001 - the sign of a number
        return sign + _clock(abs(record.audio_ms))

    @admin.display(description=_("Audio without a charge"))
    def uncharged_audio(self, record: UsageRecord) -> str:
        """See `UsageRecord.uncharged_ms`."""
        return _clock(record.uncharged_ms)

    @admin.display(description=_("Engine time"), ordering="decode_ms")
    def engine_time(self, record: UsageRecord) -> str:
        """Engine time on the GPU or the CPU."""
        return _seconds(record.decode_seconds)

    @admin.display(description=_("Waiting time"))
    def queue_time(self, record: UsageRecord) -> str:
        """Time in the queue of the engine."""
        return _seconds(record.queue_seconds)

    @admin.display(description=_("Cold start"))
    def cold_start(self, record: UsageRecord) -> str:
        """Cold start of a container."""
        return _seconds(record.load_seconds)

    @admin.display(description=_("Price per hour"))
    def price(self, record: UsageRecord) -> str:
        """The price at the time of the attempt."""
        return _usd(3600 * record.nano_usd_per_second / 1e9, 4)

    @admin.display(description=_("Cost"), ordering="cost_micro_usd")
    def cost(self, record: UsageRecord) -> str:
        """US dollars, exact."""
        return _usd(record.cost_usd, 6)

    @admin.display(description=_("Corrects"))
    def corrected_record(self, record: UsageRecord) -> str:
        """The row that a refund corrects."""
        if record.corrects_id is None:
            return ""
        url = reverse("admin:accounts_usagerecord_change", args=[record.corrects_id])
        return format_html('<a href="{}">{}</a>', url, record.corrects_id)

    @admin.action(description=_("Refund"), permissions=["refund"])
    def refund(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> None:
        """Refund the selected charges, each at most once."""
        self.message_user(request, refund_message(refund(request, queryset)))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Staff who may change plans."""
        return can_refund(request)


def _clock(milliseconds: int) -> str:
    """`h:mm:ss`, rounded down."""
    return str(timedelta(seconds=milliseconds // MS_PER_SECOND))


def _seconds(number: float) -> str:
    return f"{floatformat(number, 2)} s"


def _usd(number: float, digits: int) -> str:
    return f"{floatformat(number, f'{digits}g')} USD"


@admin.register(UsageDay)
class UsageReportAdmin(StaffReadableAdmin, AppendOnlyAdmin):
    """The usage and cost report, in place of a list of daily sums."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The report as a page or as CSV, for all staff."""
        form = UsageReportForm(request.GET)
        report = UsageReport(form)
        form.show_period(report.since, report.until)
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
            "grouping": GROUPINGS[report.by],
            "presets": preset_links(query, report.since, report.until),
            "plans": revenue.monthly_by_plan(),
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
        except OSError:
            log.warning("the bill cannot be read", exc_info=True)
            return {"can_compare": True, "is_bill_unreadable": True}
