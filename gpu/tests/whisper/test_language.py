"""The language changes where several pieces of a recording agree on another one."""

from __future__ import annotations

import pytest

from gpu.whisper.language import LanguageTracker, restrict_to

ENGLISH = {"en": 0.97, "de": 0.02, "nn": 0.01}
GERMAN = {"en": 0.01, "de": 0.98, "nn": 0.01}
UNCLEAR = {"en": 0.3, "de": 0.3, "nn": 0.4}


def languages_of(*batches: list[dict[str, float]]) -> list[str]:
    tracker = LanguageTracker()
    return [language for batch in batches for language in tracker.languages_of(batch)]


def test_language_changes_where_the_pieces_change() -> None:
    assert languages_of([ENGLISH] * 3 + [GERMAN] * 3) == ["en"] * 3 + ["de"] * 3


@pytest.mark.parametrize("odd", [GERMAN, UNCLEAR])
def test_one_odd_piece_changes_nothing(odd: dict[str, float]) -> None:
    assert languages_of([ENGLISH, odd, ENGLISH, ENGLISH]) == ["en"] * 4
    assert languages_of([ENGLISH, ENGLISH, odd], [ENGLISH]) == ["en"] * 4


def test_unclear_pieces_keep_the_language() -> None:
    assert languages_of([GERMAN], [UNCLEAR] * 5) == ["de"] * 6


def test_first_unclear_piece_gets_the_language_of_those_after_it() -> None:
    assert languages_of([UNCLEAR, GERMAN, GERMAN]) == ["de"] * 3


def test_only_candidates_are_probable() -> None:
    assert restrict_to(ENGLISH, ()) == ENGLISH
    assert restrict_to(ENGLISH, ("de", "nn")) == {
        "de": pytest.approx(2 / 3),
        "nn": pytest.approx(1 / 3),
    }
    assert restrict_to({"en": 1.0, "de": 0.0, "nn": 0.0}, ("de", "nn")) == {"de": 0.5, "nn": 0.5}


def test_language_changes_back() -> None:
    pieces = [ENGLISH] * 3 + [GERMAN] * 4 + [ENGLISH] * 3
    assert languages_of(pieces) == ["en"] * 3 + ["de"] * 4 + ["en"] * 3


def test_what_was_unclear_at_the_end_of_a_batch_counts_in_the_next() -> None:
    assert languages_of([ENGLISH, ENGLISH, GERMAN], [GERMAN]) == ["en", "en", "en", "de"]


def test_alternating_languages_are_followed() -> None:
    """As in a dialog in two languages, or with an interpreter."""
    assert languages_of([ENGLISH, GERMAN, ENGLISH, GERMAN, GERMAN]) == [
        "en",
        "de",
        "en",
        "de",
        "de",
    ]
    dialog = [ENGLISH, GERMAN] * 4
    assert languages_of([ENGLISH], *([piece] for piece in dialog))[-4:] == ["en", "de"] * 2


def test_unclear_pieces_do_not_alternate() -> None:
    doubtful = {"en": 0.3, "de": 0.7}
    assert languages_of([ENGLISH, doubtful] * 4) == ["en"] * 8


def test_rare_odd_pieces_do_not_alternate() -> None:
    """In hours of one language, a few pieces are taken for the same other one."""
    hour = [ENGLISH] * 15 + [GERMAN] + [ENGLISH] * 15
    assert languages_of(*[hour] * 4) == ["en"] * 4 * len(hour)


def test_copy_keeps_what_is_known() -> None:
    tracker = LanguageTracker()
    tracker.languages_of([ENGLISH, GERMAN, ENGLISH, GERMAN])
    assert tracker.copy().languages_of([ENGLISH, GERMAN]) == ["en", "de"]


def test_weight_is_evidence_and_no_second_piece() -> None:
    tracker = LanguageTracker()
    tracker.languages_of([ENGLISH] * 3)
    likely = {"en": 0.1, "de": 0.85}
    assert tracker.copy().languages_of([likely], weight=2) == ["en"]
    assert tracker.copy().languages_of([likely], weight=3) == ["de"]


def test_batch_without_pieces_changes_nothing() -> None:
    assert languages_of([], [GERMAN], []) == ["de"]
