"""The text that was recognized before a cancellation can be exported, edited and continued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from transcriptions.models import State, Transcription
from transcriptions.processing import commands, pipeline
from transcriptions.testing import ScriptedEngine, prepare_again, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cancelled(prepared: Transcription, engine: ScriptedEngine) -> Transcription:
    """Alice's recording, cancelled after two of five sentences."""
    engine.before[3] = lambda: commands.cancel(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    row = Transcription.objects.get()
    assert (row.state, texts(row)) == (State.CANCELLED, ["Sentence 1.", "Sentence 2."])
    return row


def correct(api: Client, row: Transcription, text: str) -> Any:
    url = f"/api/transcriptions/{row.id}/segments/1"
    return api.patch(url, json.dumps({"text": text}), content_type="application/json")


def test_cancelled_transcript_is_exported(api: Client, cancelled: Transcription) -> None:
    url = f"/api/transcriptions/{cancelled.id}/export"
    assert api.get(url).content.decode() == "Sentence 1. Sentence 2.\n"
    assert len(api.get(f"{url}?format=json").json()["segments"]) == 2


def test_cancelled_transcript_is_edited_and_resumed(
    api: Client, cancelled: Transcription, engine: ScriptedEngine
) -> None:
    assert correct(api, cancelled, "The first sentence.").status_code == 200
    engine.before.clear()
    assert api.post(f"/api/transcriptions/{cancelled.id}/retry").status_code == 202
    assert correct(api, cancelled, "Too late.").status_code == 409  # processing has resumed
    prepare_again(cancelled)
    pipeline.transcribe(cancelled.id)
    expected = ["The first sentence.", *(f"Sentence {n}." for n in range(2, 6))]
    assert texts(cancelled) == expected


def test_page_of_cancelled_recording_offers_exports_and_editing(
    browser: Client, api: Client, cancelled: Transcription
) -> None:
    html = browser.get(f"/transcriptions/{cancelled.id}/").content.decode()
    assert f'<export-dialog data-tool data-id="{cancelled.id}"\n' in html
    assert f'<transcript-editor data-tool data-id="{cancelled.id}" data-revision="0"\n' in html
    cancelled.segments.all().delete()
    html = browser.get(f"/transcriptions/{cancelled.id}/").content.decode()
    assert f'<export-dialog data-tool data-id="{cancelled.id}" hidden\n' in html
    assert api.get(f"/api/transcriptions/{cancelled.id}/export").status_code == 409
