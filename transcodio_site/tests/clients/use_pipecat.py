"""A pipeline of pipecat transcribes a WAV file at natural speed. Prints interim and final
transcripts. Runs in a virtual environment of its own: see the Makefile, `test-clients`."""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from pathlib import Path

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService

CHUNK_S = 0.05


class Printer(FrameProcessor):  # type: ignore[misc]  # pipecat is not installed beside mypy
    """Prints transcripts, and notices the first final one."""

    def __init__(self) -> None:
        super().__init__()
        self.done = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterimTranscriptionFrame):
            print("interim", frame.text)
        elif isinstance(frame, TranscriptionFrame):
            print("final", frame.text)
            self.done.set()
        await self.push_frame(frame, direction)


async def main(url: str, key: str, recording: bytes) -> None:
    with wave.open(io.BytesIO(recording)) as wav:
        rate, audio = wav.getframerate(), wav.readframes(wav.getnframes())
    whole = OpenAISTTService(
        base_url=f"{url}/v1", api_key=key, settings=OpenAISTTService.Settings(model="whisper-1")
    )
    async for frame in whole.run_stt(recording):
        print("recognized", getattr(frame, "text", frame))
    live = OpenAIRealtimeSTTService(
        base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime",
        api_key=key,
        turn_detection={"type": "server_vad", "silence_duration_ms": 600},
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-4o-transcribe"),
    )
    printer = Printer()
    task = PipelineTask(Pipeline([live, printer]), params=PipelineParams(audio_in_sample_rate=rate))

    async def speak() -> None:
        step = int(rate * CHUNK_S) * 2
        for start in range(0, len(audio), step):
            await task.queue_frame(InputAudioRawFrame(audio[start : start + step], rate, 1))
            await asyncio.sleep(CHUNK_S)
        await printer.done.wait()
        await task.queue_frame(EndFrame())

    await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), speak())


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
