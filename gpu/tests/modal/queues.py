"""Queues of the real client, whose partitions carry audio to containers."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

from gpu.tests.modal.containers import LONG_POLL_S, Containers


class Queues(Containers):
    """Holds items until a container takes them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.partitions: dict[bytes, deque[bytes]] = {}  # by key, of all queues
        self.lose_item = False  # the next one to be put
        self.refuse_items = False

    async def QueueGetOrCreate(self, request: Any) -> Any:
        return api.QueueGetOrCreateResponse(queue_id=f"qu-{request.deployment_name}")

    async def QueuePut(self, request: Any) -> Any:
        if self.refuse_items:
            raise GRPCError(Status.FAILED_PRECONDITION, "the queue is gone")
        values = [*request.values]
        if self.lose_item:
            self.lose_item = False
            values.pop()
        self.partitions.setdefault(request.partition_key, deque()).extend(values)
        await self._notify()
        return Empty()

    async def QueueGet(self, request: Any) -> Any:
        key = request.partition_key
        await self._until(lambda: self.partitions.get(key), min(request.timeout, LONG_POLL_S))
        items = self.partitions.get(key, deque())
        count = min(len(items), request.n_values)
        return api.QueueGetResponse(values=[items.popleft() for _ in range(count)])

    async def QueueClear(self, request: Any) -> Any:
        self.partitions.pop(request.partition_key, None)
        return Empty()
