"""A control plane on loopback for the real Modal client: it records what is deployed and runs it.

The calls are those of the stubs in the modal wheel. Containers are processes of the wheel's own
entry point; they see nothing of this checkout but the files that the deployment uploaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpclib.const
import grpclib.server
from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

from gpu.tests.modal.registry import Registry

TOKEN = ("ak-test", "as-test")
HEARTBEAT = 10.0  # seconds that a container's heartbeat is held while there is nothing to say


@dataclass
class Call:
    """One call of a function, with what it has answered so far."""

    id: str
    function_id: str
    input: api.FunctionPutInputsItem
    chunks: list[api.DataChunk] = field(default_factory=list)
    output: api.FunctionPutOutputsItem | None = None
    started: bool = False
    began: float = 0.0  # when a machine took it
    ended: float = 0.0

    @property
    def input_id(self) -> str:
        return self.id.replace("fc-", "in-")


@dataclass
class Container:
    """A process that serves the calls of one function."""

    task_id: str
    function_id: str
    process: subprocess.Popen[bytes]
    server: grpclib.server.Server  # its own, as it does not say who it is
    retired: bool = False  # a newer version is deployed: it takes no more calls


class ControlPlane(Registry):
    """Runs in a thread of its own between `start` and `stop`; `url` stays the same."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.port = 0
        self.calls: dict[str, Call] = {}
        self.containers: dict[str, Container] = {}
        self.environment: dict[str, str] = {}  # for containers, as a secret would give it
        self.lose_after = 0  # machines go once a call has said so much; 0: never
        self.preempt_after = 0  # the same, but another machine begins the call anew
        self.loss = api.GenericResult()  # what is said of it
        self.loss.status = api.GenericResult.GENERIC_STATUS_INTERNAL_FAILURE
        self._ended: set[str] = set()  # apps of `modal run` that are over
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # --- Starting and stopping ----------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_environment(self, token: tuple[str, str] = TOKEN) -> dict[str, str]:
        """What points the real client here, and nowhere else."""
        empty = self.folder / "modal.toml"
        empty.touch()
        return {
            # Several, as the client's own default has them: whoever answers will do.
            "MODAL_SERVER_URL": f"http://127.0.0.1:9,{self.url}",
            "MODAL_TOKEN_ID": token[0],
            "MODAL_TOKEN_SECRET": token[1],
            "MODAL_CONFIG_PATH": str(empty),
        }

    def start(self) -> None:
        """Answers from now on."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        if not ready.wait(20):
            raise AssertionError("the control plane did not start")

    def stop(self) -> None:
        """Gone at once, machines and all; what is deployed is kept for the next start."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._loop = None

    def kill_containers(self) -> None:
        """As if the machines had gone."""
        for container in self.containers.values():
            container.process.kill()
            container.process.wait()
            if self._loop and self._loop.is_running():  # it belongs to the loop's thread
                self._loop.call_soon_threadsafe(container.server.close)
        self.containers.clear()

    def _lose_machines(self) -> None:
        """They go, and whoever waits for an answer of theirs will be told so."""
        self.kill_containers()
        for call in self.calls.values():
            if call.started and call.output is None:
                call.output = api.FunctionPutOutputsItem(input_id=call.input_id, result=self.loss)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._changed = asyncio.Condition()
        runner = web.AppRunner(self._blob_store(), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._blob_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        server = grpclib.server.Server([_Service(self)])
        await server.start("127.0.0.1", self.port)
        self.port = _port(server)
        ready.set()
        await self._end.wait()
        self.kill_containers()
        server.close()
        await runner.cleanup()  # whatever else still runs ends with the loop

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

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], Any], seconds: float) -> None:
        """Waits for it, at most that long."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            pass

    # --- Calls, as the client makes them ------------------------------------------------------

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
        await self._tell()
        return Empty()

    async def AppGetLogs(self, stream: Any) -> None:
        request = await stream.recv_message()
        await self._until(lambda: request.app_id in self._ended, 50)
        await stream.send_message(api.TaskLogsBatch(app_done=request.app_id in self._ended))

    async def FunctionMap(self, request: Any) -> Any:
        call = Call(self._new("fc"), request.function_id, request.pipelined_inputs[0])
        self.calls[call.id] = call
        await self._wake_a_container(call.function_id)
        await self._tell()
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

    # --- Containers ---------------------------------------------------------------------------

    def replaced(self, functions: set[str]) -> None:
        """See `Registry`. What containers are at they finish."""
        for container in self.containers.values():
            container.retired = container.retired or container.function_id in functions

    async def _wake_a_container(self, function_id: str) -> None:
        for container in self.containers.values():
            alive = container.process.poll() is None and not container.retired
            if container.function_id == function_id and alive:
                return
        task_id = self._new("ta")
        server = grpclib.server.Server([_Service(self, task_id)])
        await server.start("127.0.0.1", 0)
        root = self.folder / task_id
        app_id = next(a for a, layout in self.layouts.items() if self._holds(layout, function_id))
        function = self.functions[function_id]
        self._unpack(function, root)
        arguments = api.ContainerArguments(
            task_id=task_id,
            function_id=function_id,
            app_id=app_id,
            function_def=function,
            app_layout=self.layouts[app_id],
            environment_name="main",
        )
        (root / "arguments").write_bytes(arguments.SerializeToString())
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "PYTHONPATH": str(root / "root"),
            "PYTHONUNBUFFERED": "1",
            "MODAL_SERVER_URL": f"http://127.0.0.1:{_port(server)}",
            "MODAL_IS_REMOTE": "1",
            "MODAL_TASK_ID": task_id,
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(root / "arguments"),
            **self._image_environment(function.image_id),
            **self.environment,
        }
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 - nobody waits for it
                [sys.executable, "-m", "modal._container_entrypoint"],
                cwd=root / "root",
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.containers[task_id] = Container(task_id, function_id, process, server)

    @staticmethod
    def _holds(layout: api.AppLayout, function_id: str) -> bool:
        return function_id in layout.function_ids.values()

    def _unpack(self, function: api.Function, root: Path) -> None:
        (root / "root").mkdir(parents=True)
        for mount_id in function.mount_ids:
            for file in self.mounts[mount_id]:
                path = root / file.filename.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.files[file.sha256_hex])

    async def ContainerHello(self, request: Any) -> Any:
        return Empty()

    async def ContainerHeartbeat(self, request: Any) -> Any:
        await asyncio.sleep(HEARTBEAT)
        return api.ContainerHeartbeatResponse()

    async def FunctionGetDynamicConcurrency(self, request: Any) -> Any:
        return api.FunctionGetDynamicConcurrencyResponse(concurrency=request.max_concurrency)

    async def FunctionGetInputs(self, request: Any, task_id: str) -> Any:
        def waiting() -> Call | None:
            calls = self.calls.values()
            mine = (c for c in calls if c.function_id == request.function_id)
            return next((c for c in mine if not c.started), None)

        container = self.containers[task_id]
        await self._until(lambda: container.retired or waiting(), 5)
        answer = api.FunctionGetInputsResponse()
        call = waiting()
        if container.retired:
            answer.inputs.add(kill_switch=True)
        elif call:
            call.started = True
            call.began = time.monotonic()
            answer.inputs.add(
                input_id=call.input_id, function_call_id=call.id, input=call.input.input
            )
        return answer

    async def FunctionCallPutDataOut(self, request: Any) -> Any:
        call = self.calls[request.function_call_id]
        # What the first run has said is not said again: readers go by the numbers.
        call.chunks.extend(c for c in request.data_chunks if c.index > len(call.chunks))
        if 0 < self.preempt_after <= len(call.chunks):
            del call.chunks[self.preempt_after :]  # several may come at once
            self.preempt_after, call.started = 0, False
            self.kill_containers()
            # A task of its own: this one goes with the machine.
            self._waking = asyncio.create_task(self._wake_a_container(call.function_id))
        if 0 < self.lose_after <= len(call.chunks):
            del call.chunks[self.lose_after :]
            self.lose_after = 0
            self._lose_machines()
        await self._tell()
        return Empty()

    async def FunctionPutOutputs(self, request: Any) -> Any:
        for output in request.outputs:
            call = self.calls[output.input_id.replace("in-", "fc-")]
            if call.output is not None:  # its machine was lost before
                continue
            call.output, call.ended = output, time.monotonic()
            if output.data_format == api.DATA_FORMAT_GENERATOR_DONE:
                call.chunks.append(
                    api.DataChunk(
                        index=len(call.chunks) + 1,
                        data=output.result.data,
                        data_format=output.data_format,
                    )
                )
        await self._tell()
        return Empty()

    async def TaskResult(self, request: Any) -> Any:
        return Empty()

    def logs(self) -> str:
        """What all containers have printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("ta-*/log")))


class _Service:
    """All methods of the client's service; those that the control plane lacks are refused."""

    def __init__(self, plane: ControlPlane, task_id: str = "") -> None:
        self.plane, self.task_id = plane, task_id

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        service = api.DESCRIPTOR.services_by_name["ModalClient"]
        return {
            f"/{service.full_name}/{method.name}": grpclib.const.Handler(
                self._handler(method.name),
                grpclib.const.Cardinality.UNARY_STREAM
                if method.server_streaming
                else grpclib.const.Cardinality.UNARY_UNARY,
                getattr(api, method.input_type.name, Empty),
                getattr(api, method.output_type.name, Empty),
            )
            for method in service.methods
        }

    def _handler(self, name: str) -> Callable[[Any], Coroutine[Any, Any, None]]:
        method = getattr(self.plane, name, None)

        async def handle(stream: Any) -> None:
            if method is None:
                raise GRPCError(Status.UNIMPLEMENTED, name)
            said = stream.metadata
            token = (said.get("x-modal-token-id"), said.get("x-modal-token-secret"))
            if not self.task_id and token != TOKEN:
                raise GRPCError(Status.UNAUTHENTICATED, "Token ID not found")
            if name in ("FunctionCallGetDataOut", "AppGetLogs", "WorkspaceBillingReport"):
                await method(stream)
                return
            request = await stream.recv_message()
            more = [self.task_id] if name == "FunctionGetInputs" else []
            await stream.send_message(await method(request, *more))

        return handle


def _port(server: grpclib.server.Server) -> int:
    return int(server._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
