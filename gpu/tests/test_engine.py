"""Engines by their names."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import cache

import pytest

from gpu.diarization.engine import DIARIZERS, get_diarizer
from gpu.engine import ENGINES, _create, get_engine
from gpu.types import EngineUnavailable


def test_concurrent_threads_get_the_same_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpu.engine._create", cache(_create.__wrapped__))
    barrier, got = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        got.append(get_engine("kyutai"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(engine) for engine in got}) == 1


def test_engine_of_each_name_is_created_once() -> None:
    for name in ENGINES:
        assert get_engine(name).name == name
        assert get_engine(name) is get_engine(name)


def test_unknown_engine_name_lists_the_known_ones() -> None:
    with pytest.raises(EngineUnavailable, match=r"STT_ENGINE='parrot'.*whisper"):
        get_engine("parrot")


def test_diarizer_of_each_name_is_created_once() -> None:
    for name in DIARIZERS:
        assert get_diarizer(name).name == name
        assert get_diarizer(name) is get_diarizer(name)
    with pytest.raises(EngineUnavailable, match=r"DIARIZER='parrot'.*embedded"):
        get_diarizer("parrot")


def test_get_engine_imports_no_model_library() -> None:
    code = (
        "import sys; from gpu.engine import get_engine; get_engine('whisper'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "faster_whisper", "ctranslate2", "django"} & set(done.stdout.split())
