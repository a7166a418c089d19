"""Speech is packed into windows, which are cut in silence."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gpu.types import Span
from gpu.windows import MIN_SILENCE_S, pack


@st.composite
def speech(draw: st.DrawFn) -> list[Span]:
    now, spans = 0.0, []
    for _ in range(draw(st.integers(0, 60))):
        now += draw(st.sampled_from([0.0, 0.5, 3.0, 90.0]))
        end = now + draw(st.floats(0.2, 28))
        spans.append(Span(now, end))
        now = end
    return spans


@given(speech())
def test_windows_are_short_enough_and_cover_all_speech_in_order(spans: list[Span]) -> None:
    windows = list(pack(spans, 60.0))
    assert all(0 < window.end - window.start <= 60.0 + 1e-9 for window in windows)
    assert all(a.end <= b.start for a, b in pairwise(windows))
    for span in spans:
        assert any(w.start <= span.start < w.end for w in windows)
        assert any(w.start < span.end <= w.end for w in windows)


@given(speech())
def test_windows_end_at_a_pause_if_they_contain_one(spans: list[Span]) -> None:
    pauses = [(a.end, b.start) for a, b in pairwise(spans) if b.start - a.end >= MIN_SILENCE_S]
    for window, after in pairwise(pack(spans, 60.0)):
        inside = [p for p in pauses if window.start < p[0] and p[1] < window.end]
        at_its_end = (window.end, after.start) in pauses
        assert at_its_end or not inside


@given(speech(), st.floats(1, 60))
def test_first_window_is_short_if_speech_can_be_cut(spans: list[Span], first: float) -> None:
    windows = list(pack(spans, 60.0, first))
    if spans:
        shortest = spans[0].end - spans[0].start
        assert windows[0].end - windows[0].start <= max(first, shortest)
    assert all(0 < window.end - window.start <= 60.0 + 1e-9 for window in windows)
    assert [w.end for w in windows][-1:] == [s.end for s in spans][-1:]


def test_short_spans_are_packed_together() -> None:
    windows = list(pack([Span(n, n + 0.8) for n in range(100)], 28.0, 10.0))
    assert len(windows) == 5
    assert windows[0].end <= 10.0
    assert all(window.end - window.start > 20 for window in windows[1:-1])


def test_speech_as_long_as_a_window_is_not_cut() -> None:
    assert list(pack([Span(0, 28)], 28.0, 10.0)) == [Span(0, 28)]


def test_speech_without_pauses_is_cut_at_the_maximum_length() -> None:
    assert list(pack([Span(0, 150)], 60.0)) == [Span(0, 60), Span(60, 120), Span(120, 150)]
