"""Helpers for tests: Valkey's view of this process's subscriptions."""

from __future__ import annotations

import asyncio

import redis.asyncio
from django.conf import settings

from transcodio_site.testing import WAIT_S
from transcriptions.models import Transcription
from transcriptions.realtime.messages import event_channel


async def until_subscribers(row: Transcription, count: int) -> None:
    """Wait until this many connections are subscribed to the events of the recording."""
    await until_subscribed(event_channel(row.id), count)


async def until_subscribed(channel: str, count: int = 1) -> None:
    """Wait until this many connections are subscribed to the channel."""
    async with redis.asyncio.Redis.from_url(settings.REDIS_URL) as client:
        async with asyncio.timeout(WAIT_S):
            while (await client.pubsub_numsub(channel))[0][1] != count:
                pass  # each round is a round trip


async def disconnect_subscribers() -> None:
    """End all connections with subscriptions, as a restart of Valkey does."""
    async with redis.asyncio.Redis.from_url(settings.REDIS_URL) as client:
        await client.client_kill_filter(_type="pubsub")


async def subscriber_connections() -> int:
    """The number of connections with subscriptions."""
    async with redis.asyncio.Redis.from_url(settings.REDIS_URL) as client:
        return len(await client.client_list(_type="pubsub"))
