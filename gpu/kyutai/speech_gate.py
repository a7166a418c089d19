"""Distinguishes speech from silence by loudness.

Kyutai's `stt-1b-en_fr` has heads that predict pauses, but transformers has no such layers: neither
its model class nor the converted checkpoints contain them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from gpu.pcm import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from gpu.types import Samples

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 25  # 40 ms
MIN_LEVEL = 0.0015  # of full scale (-56 dB): below it is silence, whatever the noise
ABOVE_NOISE = 2.5  # times the noise (8 dB)
# The noise level is that of the quietest block among this many: speech has gaps within that time.
NOISE_BLOCKS = 100


class SpeechGate:
    """Judges the blocks of one session in order."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=NOISE_BLOCKS)

    def is_speech(self, block: Samples) -> bool:
        """Whether the next block, of BLOCK_SAMPLES at 24 kHz in -1..1, is louder than noise."""
        level = float(np.sqrt(np.mean(np.square(block))))
        self._levels.append(level)
        return level > max(MIN_LEVEL, ABOVE_NOISE * min(self._levels))
