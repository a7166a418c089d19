"""The error rate of small examples that were computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.tests.diarization.errors import error_rate, overlap_rates, read_rttm

REFERENCE = [(0.0, 4.0, "anna"), (4.0, 10.0, "ben")]


def test_names_do_not_matter() -> None:
    assert error_rate(REFERENCE, [(0.0, 4.0, "2"), (4.0, 10.0, "1")]).total == 0


def test_kinds_of_errors_are_counted() -> None:
    found = [(1.0, 5.0, "1"), (5.0, 9.0, "2"), (10.0, 12.0, "2")]
    rate = error_rate(REFERENCE, found)
    assert rate.missed == pytest.approx(0.2)  # the first and the last second
    assert rate.false_alarm == pytest.approx(0.2)  # after the end
    assert rate.confused == pytest.approx(0.1)  # from 4 to 5
    assert rate.total == pytest.approx(0.5)


def test_collar_forgives_what_is_near_an_edge() -> None:
    found = [(0.2, 4.2, "1"), (4.2, 9.8, "2")]
    assert error_rate(REFERENCE, found).total > 0.03
    assert error_rate(REFERENCE, found, collar=0.25).total == 0


def test_overlap_counts_for_both() -> None:
    both = [(0.0, 2.0, "anna"), (0.0, 2.0, "ben")]
    assert error_rate(both, [(0.0, 2.0, "1")]).missed == pytest.approx(0.5)


def test_overlap_has_precision_and_recall() -> None:
    reference = [(0.0, 5.0, "a"), (4.0, 8.0, "b")]
    assert overlap_rates(reference, [(0.0, 4.5, "x"), (4.25, 8.0, "y")]) == (1.0, 0.25)
    assert overlap_rates(reference, [(0.0, 8.0, "x"), (4.0, 8.0, "y")]) == (0.25, 1.0)
    assert overlap_rates(reference, [(0.0, 4.0, "x"), (4.0, 8.0, "y")]) == (None, 0.0)
    assert overlap_rates([(0.0, 4.0, "a")], []) == (None, None)


def test_best_assignment_is_not_the_greedy_one() -> None:
    reference = [(0.0, 5.0, "a"), (5.0, 9.0, "a"), (9.0, 14.0, "b")]
    found = [(0.0, 5.0, "x"), (5.0, 9.0, "y"), (9.0, 14.0, "x")]
    # x is a for 5 s and b for 5 s, y is a for 4 s: best is x = b, y = a.
    assert error_rate(reference, found).confused == pytest.approx(5 / 14)


def test_rttm_is_read(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text("SPKR-INFO talk 1 <NA>\nSPEAKER talk 1 0.5 3.25 <NA> <NA> anna <NA> <NA>\n\n")
    assert read_rttm(path) == [(0.5, 3.75, "anna")]
