"""The speech of one supposed speaker is divided between two voices."""

from __future__ import annotations

import pytest

from gpu.diarization.splitting import two_voices
from gpu.tests.diarization.conftest import Conversation, Talk
from gpu.types import Cancelled, Span


def stretches(conversation: Conversation) -> list[list[Span]]:
    return [[Span(start, end)] for start, end, _ in conversation.reference]


def never() -> None:
    return


@pytest.mark.parametrize(
    ("pitches", "other"),
    [
        ((1.0, 0.75) * 4, {1, 3, 5, 7}),
        ((1.0, 1.0, 1.0, 1.3, 1.0, 1.0, 1.0, 1.3), {3, 7}),
    ],
)
def test_stretches_of_two_voices_are_told_apart(
    talk: Talk, pitches: tuple[float, ...], other: set[int]
) -> None:
    conversation = talk(pitches)
    found = two_voices(conversation.audio.path, stretches(conversation), never)
    assert found is not None
    assert found.is_clear
    assert {frozenset(part) for part in found.parts} == {
        frozenset(other),
        frozenset(range(len(pitches))) - other,
    }
    seconds = [
        sum(span.end - span.start for place in part for span in stretches(conversation)[place])
        for part in found.parts
    ]
    assert seconds == sorted(seconds, reverse=True)


def test_parts_of_one_voice_are_not_clear(talk: Talk) -> None:
    conversation = talk((1.0,) * 8)
    found = two_voices(conversation.audio.path, stretches(conversation), never)
    assert found is not None
    assert not found.is_clear


def test_short_stretch_has_the_voice_of_the_one_before(talk: Talk) -> None:
    conversation = talk((1.0, 0.75) * 4)
    own = stretches(conversation)
    own.insert(4, [Span(own[3][0].start, own[3][0].start + 0.2)])
    own.insert(0, [Span(own[0][0].start, own[0][0].start)])  # none before it: as the next one
    found = two_voices(conversation.audio.path, own, never)
    assert found is not None
    assert sorted(map(sorted, found.parts)) == [[0, 1, 3, 6, 8], [2, 4, 5, 7, 9]]


def test_too_few_stretches_are_not_divided(talk: Talk) -> None:
    conversation = talk((1.0, 0.75, 1.0))
    path = conversation.audio.path
    assert two_voices(path, stretches(conversation), never) is None
    assert two_voices(path, [], never) is None
    assert two_voices(path, [[Span(n / 2, n / 2 + 0.4)] for n in range(9)], never) is None


def test_comparison_can_be_stopped(talk: Talk) -> None:
    conversation = talk((1.0, 0.75) * 2)

    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        two_voices(conversation.audio.path, stretches(conversation), stop)
