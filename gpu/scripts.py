"""Writing systems: ranges of characters, for regular expressions."""

from __future__ import annotations

# Character ranges of scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese,
# Chinese.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# Chinese and Japanese: characters, kana, bopomofo, and full-width punctuation. Thai, Lao, Khmer and
# Burmese have no spaces between words either, but they do between sentences.
CJK = (
    r"\u3000-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff9f"
    r"\U00020000-\U0003ffff"
)
