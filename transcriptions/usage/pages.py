"""The page "Usage details": every charge and refund of this month, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import models
from accounts.authentication import authenticated_user
from accounts.models import UsageRecord, User
from accounts.usage import ledger
from transcriptions import permissions

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class UsageDetail:
    """A row of the ledger for its owner. `title` is empty if the recording was deleted."""

    record: UsageRecord
    title: str

    @property
    def seconds(self) -> float:
        """Charged audio; negative for a refund."""
        return self.record.audio_seconds if self.record.billed else 0.0

    @property
    def refunded(self) -> float:
        """Refunded audio in seconds; 0 for a charge."""
        return max(0.0, -self.seconds)


@login_required
@require_GET
def usage_details(request: HttpRequest) -> HttpResponse:
    """List the charges of this month, newest first."""
    user = authenticated_user(request)
    rows = ledger.records_of_month(user.pk, timezone.now()).exclude(
        outcome=models.Outcome.INTERRUPTED  # part of a job that another row ends
    )
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "charges": _with_titles(user, page)}
    return render(request, "transcriptions/usage_details.html", context)


def _with_titles(user: User, page: Iterable[UsageRecord]) -> list[UsageDetail]:
    records = list(page)
    ids = {record.transcription for record in records}
    titles = dict(permissions.visible_to(user).filter(id__in=ids).values_list("id", "title"))
    return [UsageDetail(record, titles.get(record.transcription, "")) for record in records]
