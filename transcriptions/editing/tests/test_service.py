"""Edits use the values of the row after it is locked, not those read before."""

from __future__ import annotations

import pytest

from transcriptions.editing.service import correct, rename
from transcriptions.editing.tests.helpers import run_behind_lock
from transcriptions.indexing.search import parse
from transcriptions.models import Transcription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.covers("fault", "A recording is renamed while its language is being detected")
def test_rename_indexes_in_the_language_of_the_locked_row(finished: Transcription) -> None:
    rows = Transcription.objects.all()
    stale = rows.get()
    assert stale.language == "en"
    run_behind_lock(
        lambda: rows.update(language="de"), lambda: rename(stale, "Pläne für drei Häuser")
    )
    assert rows.filter(*parse(rows, "Haus").conditions()).exists()  # by the rules of German
    assert rows.get().title == "Pläne für drei Häuser"


def test_edited_text_has_no_statistics_of_the_decoder(finished: Transcription) -> None:
    finished.segments.update(decoding={"avg_logprob": -0.2})
    correct(finished, 1, "Another text.")
    first, second = finished.segments.all()[:2]
    assert first.decoding is None
    assert second.decoding == {"avg_logprob": -0.2}
