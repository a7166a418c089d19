"""Refunds in the admin site."""

from __future__ import annotations

from django.test import Client
from django.utils import timezone

from accounts.models import Outcome, UsageRecord, User
from accounts.usage import ledger
from accounts.usage.tests.helpers import record_usage


def test_admin_refunds_a_charge_once(alice: User, carol: User, client: Client) -> None:
    for audio_ms in (90_500, 30_000):
        record_usage(alice, audio_ms=audio_ms)
    client.force_login(carol)
    rows = UsageRecord.objects.filter(audio_ms=90_500).values_list("pk", flat=True)
    form = {"action": "refund", "_selected_action": list(rows)}
    for _ in range(2):
        assert client.post("/admin/accounts/usagerecord/", form).status_code == 302
    assert ledger.billed_ms(alice.pk, timezone.now()) == 30_000
    correction = UsageRecord.objects.get(outcome=Outcome.CORRECTION)
    assert correction.reason == "Refunded by an administrator."
