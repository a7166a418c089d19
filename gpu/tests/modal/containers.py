"""Calls of deployed functions, and the containers that serve them.

They see nothing of this checkout but the files that the deployment uploaded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpclib.server
from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as api

from gpu.tests.diarization.package import stand_ins
from gpu.tests.modal.container import import_libraries, start_process
from gpu.tests.modal.registry import Registry
from gpu.tests.modal.service import Service, port_of
from transcodio_site.testing import HOLD_FOLDER, WAIT_S, Hold

HEARTBEAT_S = 10.0  # for which a container's heartbeat is held while there is nothing to report
LONG_POLL_S = 5.0  # for which a container's request for work is held


@dataclass
class Call:
    """One call of a function, with its output so far."""

    id: str
    function_id: str
    input: api.FunctionPutInputsItem
    chunks: list[api.DataChunk] = field(default_factory=list)
    output: api.FunctionPutOutputsItem | None = None
    started: bool = False  # a container has taken it
    open_before: int = 0  # calls that had not ended when this one was made
    lose_after: int = 0  # see Containers
    preempt_after: int = 0

    @property
    def input_id(self) -> str:
        return self.id.replace("fc-", "in-")

    def end(self, result: api.GenericResult) -> None:
        """Ends it with that result, unless it has ended."""
        self.started = True  # no container may take it now
        if self.output is None:
            self.output = api.FunctionPutOutputsItem(input_id=self.input_id, result=result)


@dataclass
class Container:
    """A process that serves the calls of one function."""

    task_id: str
    function_id: str
    process: BaseProcess
    server: grpclib.server.Server  # its own: requests do not tell which container sent them
    retired: bool = False  # a newer version is deployed: it takes no more calls


class Containers(Registry):
    """Starts a container for a call if none is running, and takes its output."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.hold = Hold(folder)  # keeps all decoders from taking a step
        self.calls: dict[str, Call] = {}
        self.containers: dict[str, Container] = {}
        self.environment: dict[str, str] = {}  # of containers, besides that of their function
        self.starts_containers = True
        # Chunks of the next call after which containers are lost; 0: never.
        self.lose_after = 0
        self.preempt_after = 0  # the same, but another container starts the call again
        self.loss = api.GenericResult()  # the result of calls whose container was lost
        self.loss.status = api.GenericResult.GENERIC_STATUS_INTERNAL_FAILURE
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Condition()
        self._starting = asyncio.Lock()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], Any], seconds: float) -> None:
        """Waits for the condition, at most that long."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            pass

    # --- Starting and ending ------------------------------------------------------------------

    def replaced(self, functions: set[str]) -> None:
        """See `Registry`. Containers finish what they are working on."""
        for container in self.containers.values():
            container.retired = container.retired or container.function_id in functions

    def kill_containers(self) -> None:
        """As if their machines had failed."""
        for container in self.containers.values():
            container.process.kill()
            container.process.join()
            if self._loop and self._loop.is_running():  # it belongs to the loop's thread
                self._loop.call_soon_threadsafe(container.server.close)
        self.containers.clear()

    def end_calls(self) -> None:
        """Ends all calls that are still running or waiting."""
        terminated = api.GenericResult(status=api.GenericResult.GENERIC_STATUS_TERMINATED)
        for call in self.calls.values():
            call.end(terminated)
        if self._loop:
            asyncio.run_coroutine_threadsafe(self._notify(), self._loop).result(WAIT_S)

    def start_containers(self) -> None:
        """Starts the containers that calls wait for, and from now on every one that is needed."""
        self.starts_containers = True
        assert self._loop
        for call in self.calls.values():
            if not call.started:
                starting = self._ensure_container(call.function_id)
                asyncio.run_coroutine_threadsafe(starting, self._loop).result(WAIT_S)

    def _lose_containers(self) -> None:
        """Kills them and fails their calls."""
        self.kill_containers()
        for call in self.calls.values():
            if call.started:
                call.end(self.loss)

    async def _ensure_container(self, function_id: str) -> None:
        async with self._starting:
            for container in self.containers.values():
                alive = container.process.is_alive() and not container.retired
                if container.function_id == function_id and alive:
                    return
            if self.starts_containers:
                await self._start_container(function_id)

    async def _start_container(self, function_id: str) -> None:
        task_id = self._new("ta")
        server = grpclib.server.Server([Service(self, task_id)])
        await server.start("127.0.0.1", 0)
        root = self.folder / task_id
        function = self.functions[function_id]
        self._unpack(function, root)
        arguments = self._arguments(task_id, function_id)
        (root / "arguments").write_bytes(arguments.SerializeToString())
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "OMP_NUM_THREADS": "1",  # see transcodio_site/testing.py
            "PYTHONUNBUFFERED": "1",
            "MODAL_SERVER_URL": f"http://127.0.0.1:{port_of(server)}",
            "MODAL_IS_REMOTE": "1",
            "MODAL_TASK_ID": task_id,
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(root / "arguments"),
            **self.hold.environment,
            "PYTHONPATH": os.pathsep.join([f"{root / 'root'}", f"{HOLD_FOLDER}", *stand_ins()]),
            **self._image_environment(function.image_id),
            **self._secrets_of(function),
            **self.environment,
        }
        await asyncio.to_thread(import_libraries)
        process = start_process(root, environment, fork=not self.environment)
        self.containers[task_id] = Container(task_id, function_id, process, server)

    def _arguments(self, task_id: str, function_id: str) -> api.ContainerArguments:
        app_id = next(
            app_id
            for app_id, layout in self.layouts.items()
            if function_id in layout.function_ids.values()
        )
        return api.ContainerArguments(
            task_id=task_id,
            function_id=function_id,
            app_id=app_id,
            function_def=self.functions[function_id],
            app_layout=self.layouts[app_id],
            environment_name="main",
        )

    def _unpack(self, function: api.Function, root: Path) -> None:
        (root / "root").mkdir(parents=True)
        for mount_id in function.mount_ids:
            for file in self.mounts[mount_id]:
                path = root / file.filename.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.files[file.sha256_hex])

    def logs(self) -> str:
        """The output of all containers."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("ta-*/log")))

    # --- Requests of containers ---------------------------------------------------------------

    async def ContainerHello(self, request: Any) -> Any:
        return Empty()

    async def ContainerHeartbeat(self, request: Any) -> Any:
        await self._until(lambda: False, HEARTBEAT_S)
        return api.ContainerHeartbeatResponse()

    async def FunctionGetDynamicConcurrency(self, request: Any) -> Any:
        return api.FunctionGetDynamicConcurrencyResponse(concurrency=request.max_concurrency)

    async def FunctionGetInputs(self, request: Any, task_id: str) -> Any:
        def waiting() -> Call | None:
            calls = self.calls.values()
            mine = (c for c in calls if c.function_id == request.function_id)
            return next((c for c in mine if not c.started), None)

        container = self.containers[task_id]
        await self._until(lambda: container.retired or waiting(), LONG_POLL_S)
        answer = api.FunctionGetInputsResponse()
        call = waiting() if task_id in self.containers else None  # it may have been killed
        if container.retired:
            answer.inputs.add(kill_switch=True)
        elif call:
            call.started = True
            answer.inputs.add(
                input_id=call.input_id, function_call_id=call.id, input=call.input.input
            )
        return answer

    async def FunctionCallPutDataOut(self, request: Any) -> Any:
        call = self.calls[request.function_call_id]
        # Output of an earlier attempt is not replaced: clients count chunks.
        call.chunks.extend(c for c in request.data_chunks if c.index > len(call.chunks))
        if 0 < call.preempt_after <= len(call.chunks):
            del call.chunks[call.preempt_after :]  # several may come together
            call.preempt_after, call.started = 0, False
            self.kill_containers()
            # A separate task, because this one ends with the container.
            self._restarting = asyncio.create_task(self._ensure_container(call.function_id))
        if 0 < call.lose_after <= len(call.chunks):
            del call.chunks[call.lose_after :]
            call.lose_after = 0
            self._lose_containers()
        await self._notify()
        return Empty()

    async def FunctionPutOutputs(self, request: Any) -> Any:
        for output in request.outputs:
            call = self.calls[output.input_id.replace("in-", "fc-")]
            if call.output is not None:  # its container was lost before
                continue
            call.output = output
            if output.data_format == api.DATA_FORMAT_GENERATOR_DONE:
                call.chunks.append(
                    api.DataChunk(
                        index=len(call.chunks) + 1,
                        data=output.result.data,
                        data_format=output.data_format,
                    )
                )
        await self._notify()
        return Empty()

    async def TaskResult(self, request: Any) -> Any:
        return Empty()
