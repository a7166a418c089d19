"""Texts are joined according to their scripts."""

from __future__ import annotations

import pytest

from gpu.joining import join


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["Good morning.", "How are you?"], "Good morning. How are you?"),
        (["早上好。", "你好吗？"], "早上好。你好吗？"),  # noqa: RUF001
        (["他说：「早上好。」", "「你好。」"], "他说：「早上好。」「你好。」"),  # noqa: RUF001
        (["早上好", "你好吗"], "早上好你好吗"),
        (["おはよう。", "元気ですか。"], "おはよう。元気ですか。"),
        (["我用的是", "Python 很久了。"], "我用的是 Python 很久了。"),
        (["我用的是。", "Python 很久了。"], "我用的是。Python 很久了。"),
        (["I said", "你好。", "Then I left."], "I said 你好。Then I left."),
        (["안녕하세요.", "반갑습니다."], "안녕하세요. 반갑습니다."),
        (["สวัสดีครับ", "ขอบคุณครับ"], "สวัสดีครับ ขอบคุณครับ"),
        (["𠮷野家", "𠮷野家"], "𠮷野家𠮷野家"),  # beyond the basic plane
        (["One.", "", "Two."], "One. Two."),
        ([], ""),
    ],
)
def test_space_stands_between_texts_only_where_their_script_has_it(
    texts: list[str], joined: str
) -> None:
    assert join(texts) == joined
