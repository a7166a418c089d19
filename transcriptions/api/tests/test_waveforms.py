"""The waveform over the API: reduced to the requested size, and that of older recordings."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.models import AudioAnalysis, Transcription
from transcriptions.waveform import Waveform


@pytest.fixture
def row(alice: User) -> Transcription:
    return Transcription.objects.create(owner=alice, title="Talk", source_bytes=1, duration=4.0)


def waveform(client: Client, row: Transcription, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/api/transcriptions/{row.id}/waveform{query}").json()
    return body


def test_points_are_reduced(alice: User, client: Client, row: Transcription) -> None:
    stored = Waveform(bytes([10, 30, 0, 0, 255, 255]), bytes([100, 20, 7, 9, 255, 254])).pack()
    AudioAnalysis.objects.create(transcription=row, waveform=stored)
    client.force_login(alice)
    whole = {"duration": 4.0, "rms": [10, 30, 0, 0, 255, 255], "peaks": [100, 20, 7, 9, 255, 254]}
    assert waveform(client, row) == whole
    assert waveform(client, row, "?points=6") == whole
    halved = waveform(client, row, "?points=3")
    assert halved == {"duration": 4.0, "rms": [22, 0, 255], "peaks": [100, 9, 255]}
    assert [len(waveform(client, row, f"?points={n}")["rms"]) for n in (1, 4, 5)] == [1, 4, 5]


@pytest.mark.parametrize("points", ["0", "100001", "many"])
def test_number_of_points_is_limited(
    alice: User, client: Client, row: Transcription, points: str
) -> None:
    client.force_login(alice)
    response = client.get(f"/api/transcriptions/{row.id}/waveform?points={points}")
    assert response.status_code == 422


def test_recording_with_peaks_only_keeps_its_waveform(
    alice: User, client: Client, row: Transcription
) -> None:
    AudioAnalysis.objects.create(transcription=row, peaks=[0, 50, 100])
    client.force_login(alice)
    found = waveform(client, row)
    assert found["peaks"] == found["rms"] == [0, 127, 255]


def test_waveform_is_empty_until_the_audio_is_prepared(
    alice: User, client: Client, row: Transcription
) -> None:
    client.force_login(alice)
    assert waveform(client, row)["peaks"] == []
    AudioAnalysis.objects.create(transcription=row, is_opening=True)
    assert waveform(client, row)["peaks"] == []
    assert not AudioAnalysis.has_waveform(row)


@pytest.mark.covers("attack", "A stranger requests the waveform of a recording")
def test_stranger_gets_404_on_waveform(bob: User, client: Client, row: Transcription) -> None:
    client.force_login(bob)
    assert client.get(f"/api/transcriptions/{row.id}/waveform").status_code == 404
