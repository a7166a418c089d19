"""Lists in the admin site whose tables have millions of rows."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Outcome, UsageRecord, User
from transcriptions.models import Transcription


@pytest.mark.parametrize("path", ["accounts/usagerecord", "transcriptions/transcription"])
def test_filters_offer_values_without_reading_the_whole_table(
    admin_client: Client, alice: User, path: str
) -> None:
    for engine in ("whisper", "modal", "modal"):
        Transcription.objects.create(owner=alice, source_bytes=1, engine=engine)
        UsageRecord.objects.create(
            user=alice, transcription=uuid.uuid4(), outcome=Outcome.COMPLETED, engine=engine
        )
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(f"/admin/{path}/?engine=kyutai").content.decode()
    for engine in ("kyutai", "whisper", "modal"):  # also one that is only selected
        assert f'href="?engine={engine}"' in page
    assert "DISTINCT" not in "".join(query["sql"] for query in queries)
    assert "_facets" not in page
