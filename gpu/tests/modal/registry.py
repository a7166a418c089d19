"""The objects of a deployment, as the real client declares them to a control plane."""

from __future__ import annotations

import shlex
import time
from datetime import datetime
from typing import Any

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as api

BUILDER = "2025.06"


class Registry:
    """Apps with their functions, classes, images, mounts, volumes and dictionaries."""

    @property
    def url(self) -> str:
        """The URL of the control plane."""
        raise NotImplementedError

    def __init__(self) -> None:
        self.apps: dict[str, str] = {}  # names of deployed apps
        self.layouts: dict[str, api.AppLayout] = {}
        self.functions: dict[str, api.Function] = {}
        self.metadata: dict[str, api.FunctionHandleMetadata] = {}
        self.classes: dict[str, api.ClassHandleMetadata] = {}
        self.images: dict[str, api.Image] = {}
        self.mounts: dict[str, list[api.MountFile]] = {}
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.volumes: list[str] = []
        self.commits = 0  # of volumes
        self.dicts: dict[str, dict[bytes, bytes]] = {}
        self.secrets: dict[str, dict[str, str]] = {}  # environment variables, by id
        self.bill: list[tuple[str, datetime, str]] = []  # app, day, USD
        self._numbers = 0

    def _new(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}-{self._numbers:04}"

    def replaced(self, functions: set[str]) -> None:
        """Called when a new version of these functions is published."""
        raise NotImplementedError

    async def ClientHello(self, request: Any) -> Any:
        return api.ClientHelloResponse(image_builder_version=BUILDER)

    async def WorkspaceNameLookup(self, request: Any) -> Any:
        return api.WorkspaceNameLookupResponse(workspace_name="test", username="test")

    async def WorkspaceBillingReport(self, stream: Any) -> None:
        request = await stream.recv_message()
        begin, end = request.start_timestamp.ToDatetime(), request.end_timestamp.ToDatetime()
        for name, day, cost in self.bill:
            if begin <= day < end:
                item = api.WorkspaceBillingReportItem(
                    object_id=f"ap-{name}", description=name, environment_name="main", cost=cost
                )
                item.interval.FromDatetime(day)
                await stream.send_message(item)

    async def EnvironmentGetOrCreate(self, request: Any) -> Any:
        settings = api.EnvironmentSettings(image_builder_version=BUILDER)
        metadata = api.EnvironmentMetadata(name="main", settings=settings)
        return api.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)

    async def AppGetByDeploymentName(self, request: Any) -> Any:
        return api.AppGetByDeploymentNameResponse(app_id=self.apps.get(request.name, ""))

    async def AppCreate(self, request: Any) -> Any:
        app_id = self._new("ap")
        self.layouts[app_id] = api.AppLayout()
        return api.AppCreateResponse(app_id=app_id, app_page_url=self.url)

    async def AppGetLayout(self, request: Any) -> Any:
        return api.AppGetLayoutResponse(app_layout=self.layouts[request.app_id])

    async def AppHeartbeat(self, request: Any) -> Any:
        return Empty()

    async def VolumeGetOrCreate(self, request: Any) -> Any:
        self.volumes.append(request.deployment_name)
        return api.VolumeGetOrCreateResponse(volume_id=f"vo-{request.deployment_name}")

    async def VolumeReload(self, request: Any) -> Any:
        return Empty()

    async def VolumeCommit(self, request: Any) -> Any:
        self.commits += 1
        return api.VolumeCommitResponse()

    async def DictGetOrCreate(self, request: Any) -> Any:
        self.dicts.setdefault(request.deployment_name, {})
        return api.DictGetOrCreateResponse(dict_id=f"di-{request.deployment_name}")

    async def DictUpdate(self, request: Any) -> Any:
        entries = self.dicts[request.dict_id.removeprefix("di-")]
        entries.update({entry.key: entry.value for entry in request.updates})
        return api.DictUpdateResponse(created=True)

    async def DictContains(self, request: Any) -> Any:
        entries = self.dicts[request.dict_id.removeprefix("di-")]
        return api.DictContainsResponse(found=request.key in entries)

    async def SecretGetOrCreate(self, request: Any) -> Any:
        secret_id = self._new("st")
        self.secrets[secret_id] = dict(request.env_dict)
        return api.SecretGetOrCreateResponse(secret_id=secret_id)

    async def MountGetOrCreate(self, request: Any) -> Any:
        mount_id = self._new("mo")
        self.mounts[mount_id] = list(request.files)
        return api.MountGetOrCreateResponse(mount_id=mount_id)

    async def MountBatchedCheckExistence(self, request: Any) -> Any:
        missing = [h for h in request.sha256_hex_hashes if h not in self.files]
        return api.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def MountPutFile(self, request: Any) -> Any:
        if request.WhichOneof("data_oneof") == "data_blob_id":
            self.files[request.sha256_hex] = self.blobs[request.data_blob_id]
        elif request.WhichOneof("data_oneof") == "data":
            self.files[request.sha256_hex] = request.data
        return api.MountPutFileResponse(exists=request.sha256_hex in self.files)

    async def ImageGetOrCreate(self, request: Any) -> Any:
        image_id = self._new("im")
        self.images[image_id] = request.image
        result = api.GenericResult(status=api.GenericResult.GENERIC_STATUS_SUCCESS)
        metadata = api.ImageMetadata(image_builder_version=BUILDER)
        return api.ImageGetOrCreateResponse(image_id=image_id, result=result, metadata=metadata)

    async def FunctionPrecreate(self, request: Any) -> Any:
        function_id = request.existing_function_id or self._new("fu")
        metadata = self._handle(function_id, request)
        return api.FunctionPrecreateResponse(function_id=function_id, handle_metadata=metadata)

    async def FunctionCreate(self, request: Any) -> Any:
        function = api.Function()
        if request.HasField("function_data"):
            data = request.function_data
            function.CopyFrom(data.ranked_functions[0].function)
            function.is_class, function.timeout_secs = data.is_class, data.timeout_secs
            function.module_name, function.function_name = data.module_name, data.function_name
            function.function_type = data.function_type
            function.startup_timeout_secs = data.startup_timeout_secs
            function.autoscaler_settings.CopyFrom(data.autoscaler_settings)
            for name, method in data.method_definitions.items():
                function.method_definitions[name].CopyFrom(method)
        else:
            function.CopyFrom(request.function)
        function_id = request.existing_function_id or self._new("fu")
        self.functions[function_id] = function
        metadata = self._handle(function_id, function)
        answer = api.FunctionCreateResponse(function_id=function_id, handle_metadata=metadata)
        if request.HasField("function_data"):
            answer.function_data.CopyFrom(request.function_data)
        else:
            answer.function.CopyFrom(request.function)
            answer.function_data.ranked_functions.add(rank=0, function=request.function)
        return answer

    def _handle(self, function_id: str, source: Any) -> api.FunctionHandleMetadata:
        metadata = api.FunctionHandleMetadata(
            function_name=source.function_name, function_type=source.function_type
        )
        formats = (api.DATA_FORMAT_PICKLE, api.DATA_FORMAT_CBOR)
        metadata.supported_input_formats.extend(formats)
        metadata.supported_output_formats.extend(formats)
        for name, method in source.method_definitions.items():
            inner = metadata.method_handle_metadata[name]
            inner.function_name, inner.function_type = method.function_name, method.function_type
            inner.is_method, inner.use_method_name = True, name
            inner.supported_input_formats.extend(method.supported_input_formats)
            inner.supported_output_formats.extend(method.supported_output_formats)
        self.metadata[function_id] = metadata
        return metadata

    async def ClassCreate(self, request: Any) -> Any:
        class_id = request.existing_class_id or self._new("cs")
        metadata = api.ClassHandleMetadata()
        metadata.methods.extend(request.methods)
        self.classes[class_id] = metadata
        return api.ClassCreateResponse(class_id=class_id, handle_metadata=metadata)

    async def AppPublish(self, request: Any) -> Any:
        layout = api.AppLayout(function_ids=request.function_ids, class_ids=request.class_ids)
        for function_id in request.function_ids.values():
            layout.objects.add(
                object_id=function_id, function_handle_metadata=self.metadata[function_id]
            )
            for dependency in self.functions[function_id].object_dependencies:
                layout.objects.add(object_id=dependency.object_id)
        for name, class_id in request.class_ids.items():
            own = request.function_ids[f"{name}.*"]
            self.classes[class_id].class_function_id = own
            self.classes[class_id].class_function_metadata.CopyFrom(self.metadata[own])
            layout.objects.add(object_id=class_id, class_handle_metadata=self.classes[class_id])
        known = self.layouts[request.app_id].function_ids.values()
        self.layouts[request.app_id] = layout
        self.replaced(set(known))
        if request.name:
            self.apps[request.name] = request.app_id
        return api.AppPublishResponse(url=self.url, deployed_at=time.time())

    def image_commands(self, image_id: str) -> list[str]:
        """The Dockerfile lines of an image, after those of its base images."""
        image = self.images[image_id]
        base_lines = [
            line for base in image.base_images for line in self.image_commands(base.image_id)
        ]
        return [*base_lines, *image.dockerfile_commands]

    def _secrets_of(self, function: api.Function) -> dict[str, str]:
        secrets = (self.secrets[secret_id] for secret_id in function.secret_ids)
        return {name: value for secret in secrets for name, value in secret.items()}

    def _image_environment(self, image_id: str) -> dict[str, str]:
        lines = [line[4:] for line in self.image_commands(image_id) if line.startswith("ENV ")]
        return dict(
            pair.split("=", 1) for line in lines for pair in shlex.split(line) if "=" in pair
        )
