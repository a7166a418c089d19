"""LiveKit's plugin for OpenAI transcribes a WAV file at natural speed. Prints interim and final
transcripts. Runs in a virtual environment of its own: see the Makefile, `test-clients`."""

from __future__ import annotations

import asyncio
import sys
import wave

from livekit import rtc
from livekit.agents import stt, utils
from livekit.plugins import openai

CHUNK_S = 0.05


def frames(path: str) -> list[rtc.AudioFrame]:
    with wave.open(path, "rb") as wav:
        rate, step = wav.getframerate(), int(wav.getframerate() * CHUNK_S)
        count = wav.getnframes() // step
        return [rtc.AudioFrame(wav.readframes(step), rate, 1, step) for _ in range(count)]


async def main(url: str, key: str, path: str) -> None:
    async with utils.http_context.open():
        whole = openai.STT(base_url=f"{url}/v1", api_key=key, model="whisper-1")
        heard = await whole.recognize(rtc.combine_audio_frames(frames(path)))
        print("recognized", heard.alternatives[0].text)
        live = openai.STT(
            base_url=f"{url}/v1",
            api_key=key,
            model="gpt-4o-mini-transcribe",
            use_realtime=True,
            turn_detection={"type": "server_vad", "silence_duration_ms": 600},
        )
        stream = live.stream()

        async def speak() -> None:
            for frame in frames(path):
                stream.push_frame(frame)
                await asyncio.sleep(CHUNK_S)

        speaking = asyncio.create_task(speak())
        async for event in stream:
            if event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT:
                print("interim", event.alternatives[0].text)
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                print("final", event.alternatives[0].text)
                break
        await speaking
        await stream.aclose()
        await live.aclose()


asyncio.run(main(*sys.argv[1:]))
