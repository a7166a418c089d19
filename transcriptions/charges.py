"""The page that explains every charge of this month: what for, how much, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import ledger
from accounts.authentication import person
from accounts.models import UsageRecord, User
from transcriptions import access

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Charge:
    """A row of the ledger as its owner reads it; `title` is empty when the recording is gone."""

    record: UsageRecord
    title: str

    @property
    def seconds(self) -> float:
        """Of audio that were charged; below zero where they were given back."""
        return self.record.audio_seconds if self.record.billed else 0.0

    @property
    def returned(self) -> float:
        """Seconds that were given back."""
        return max(0.0, -self.seconds)


@login_required
@require_GET
def charges(request: HttpRequest) -> HttpResponse:
    """Newest first."""
    user = person(request)
    rows = ledger.records_of_month(user.pk, timezone.now()).exclude(
        outcome=ledger.Outcome.INTERRUPTED  # part of an attempt whose end is here
    )
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "charges": [*_explained(user, page)]}
    return render(request, "transcriptions/usage_details.html", context)


def _explained(user: User, records: Iterable[UsageRecord]) -> Iterator[Charge]:
    found = [*records]
    ids = {record.transcription for record in found}
    titles = dict(access.visible_to(user).filter(id__in=ids).values_list("id", "title"))
    for record in found:
        yield Charge(record, titles.get(record.transcription, ""))
