"""A control plane on loopback for the real Modal client: records deployments and runs them.

Its methods are those of the stubs in the modal wheel.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from functools import partial
from pathlib import Path
from typing import Any

import grpclib.server
from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

from gpu.tests.modal.containers import Call
from gpu.tests.modal.queues import Queues
from gpu.tests.modal.service import TOKEN, Service, port_of
from transcodio_site.testing import WAIT_S


class ControlPlane(Queues):
    """Runs in a thread of its own between `start` and `stop`; `url` stays the same."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = 0
        self._ended: set[str] = set()  # apps of `modal run` that are over
        self._thread: threading.Thread | None = None

    # --- Starting and stopping ----------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_environment(self, token: tuple[str, str] = TOKEN) -> dict[str, str]:
        """Makes the real client use this control plane."""
        empty = self.folder / "modal.toml"
        empty.touch()
        return {
            # Several, as in the client's default: one that answers is enough.
            "MODAL_SERVER_URL": f"http://127.0.0.1:9,{self.url}",
            "MODAL_TOKEN_ID": token[0],
            "MODAL_TOKEN_SECRET": token[1],
            "MODAL_CONFIG_PATH": str(empty),
            "MODAL_DISABLE_API_PROXY": "1",
        }

    def start(self) -> None:
        """Starts the server."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(WAIT_S), "the control plane did not start"

    def stop(self) -> None:
        """Ends the server and all containers; what is deployed is kept for the next start."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._loop = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._changed, self._starting = asyncio.Condition(), asyncio.Lock()
        runner = web.AppRunner(self._blob_store(), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._blob_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        server = grpclib.server.Server([Service(self)])
        await server.start("127.0.0.1", self.port)
        self.port = port_of(server)
        ready.set()
        await self._end.wait()
        self.kill_containers()
        server.close()
        await runner.cleanup()  # other tasks end with the loop

    def _blob_store(self) -> web.Application:
        async def put(request: web.Request) -> web.Response:
            content = await request.read()
            self.blobs[request.match_info["id"]] = content
            return web.Response(headers={"ETag": f'"{hashlib.md5(content).hexdigest()}"'})  # noqa: S324

        async def get(request: web.Request) -> web.Response:
            return web.Response(body=self.blobs[request.match_info["id"]])

        app = web.Application(client_max_size=1 << 30)
        app.router.add_put("/{id}", put)
        app.router.add_get("/{id}", get)
        return app

    # --- Requests of the client ---------------------------------------------------------------

    async def ClassGet(self, request: Any) -> Any:
        layout = self.layouts.get(self.apps.get(request.app_name, ""), api.AppLayout())
        class_id = layout.class_ids.get(request.object_tag)
        if not class_id:
            raise GRPCError(Status.NOT_FOUND, f"App {request.app_name!r} not found")
        return api.ClassGetResponse(class_id=class_id, handle_metadata=self.classes[class_id])

    async def FunctionGet(self, request: Any) -> Any:
        layout = self.layouts.get(self.apps.get(request.app_name, ""), api.AppLayout())
        function_id = layout.function_ids.get(request.object_tag)
        if not function_id:
            raise GRPCError(Status.NOT_FOUND, f"Function {request.object_tag!r} not found")
        answer = api.FunctionGetResponse(
            function_id=function_id, handle_metadata=self.metadata[function_id]
        )
        answer.function.ranked_functions.add(rank=0, function=self.functions[function_id])
        return answer

    async def AppClientDisconnect(self, request: Any) -> Any:
        self._ended.add(request.app_id)
        await self._notify()
        return Empty()

    async def AppGetLogs(self, stream: Any) -> None:
        request = await stream.recv_message()
        await self._until(lambda: request.app_id in self._ended, 50)
        await stream.send_message(api.TaskLogsBatch(app_done=request.app_id in self._ended))

    async def FunctionMap(self, request: Any) -> Any:
        call = Call(self._new("fc"), request.function_id, request.pipelined_inputs[0])
        call.lose_after, self.lose_after = self.lose_after, 0
        call.preempt_after, self.preempt_after = self.preempt_after, 0
        call.open_before = sum(other.output is None for other in self.calls.values())
        self.calls[call.id] = call
        await self._ensure_container(call.function_id)
        await self._notify()
        answer = api.FunctionMapResponse(function_call_id=call.id)
        answer.pipelined_inputs.add(idx=0, input_id=call.input_id, input_jwt=call.input_id)
        return answer

    async def FunctionGetOutputs(self, request: Any) -> Any:
        call = self.calls[request.function_call_id]
        await self._until(lambda: call.output, request.timeout)
        if call.output is None:
            return api.FunctionGetOutputsResponse(num_unfinished_inputs=1)
        answer = api.FunctionGetOutputsResponse()
        answer.outputs.add(
            result=call.output.result, data_format=call.output.data_format, input_id=call.input_id
        )
        return answer

    async def FunctionCallGetDataOut(self, stream: Any) -> None:
        request = await stream.recv_message()
        call, last = self.calls[request.function_call_id], request.last_index
        while True:
            await self._until(partial(self._has_more, call, last), 20)
            for chunk in call.chunks[last:]:
                await stream.send_message(chunk)
                last = chunk.index
            if call.output and last == len(call.chunks):
                return

    @staticmethod
    def _has_more(call: Call, known: int) -> bool:
        return len(call.chunks) > known or call.output is not None

    async def BlobCreate(self, request: Any) -> Any:
        blob_id = self._new("bl")
        return api.BlobCreateResponse(
            blob_ids=[blob_id],
            upload_urls=api.UploadUrlList(items=[f"{self._blob_url}/{blob_id}"]),
        )

    async def BlobGet(self, request: Any) -> Any:
        return api.BlobGetResponse(download_url=f"{self._blob_url}/{request.blob_id}")
