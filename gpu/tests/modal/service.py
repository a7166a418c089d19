"""The gRPC service of Modal's client, answered by the methods of a control plane."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import grpclib.const
import grpclib.server
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as api

TOKEN = ("ak-test", "as-test")
# These methods get a stream for their response; the others return it.
STREAMING = ("FunctionCallGetDataOut", "AppGetLogs", "WorkspaceBillingReport")


class Service:
    """All methods of the client's service; those that the control plane lacks are refused."""

    def __init__(self, plane: Any, task_id: str = "") -> None:
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
            metadata = stream.metadata
            token = (metadata.get("x-modal-token-id"), metadata.get("x-modal-token-secret"))
            if not self.task_id and token != TOKEN:
                raise GRPCError(Status.UNAUTHENTICATED, "Token ID not found")
            if self.task_id and self.task_id not in self.plane.containers:
                raise GRPCError(Status.UNAVAILABLE, "sent by a container that was killed")
            if name in STREAMING:
                await method(stream)
                return
            request = await stream.recv_message()
            more = [self.task_id] if name == "FunctionGetInputs" else []
            await stream.send_message(await method(request, *more))

        return handle


def port_of(server: grpclib.server.Server) -> int:
    """The port that a started server listens on."""
    return int(server._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
