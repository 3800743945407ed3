"""The gRPC server of tasks: every service of theirs behind one port or socket."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2_grpc
from telefuser_grpc._gen.image_to_video.v1 import (
    generation_service_pb2,
    generation_service_pb2_grpc,
)
from telefuser_grpc._gen.openai.v1 import video_service_pb2, video_service_pb2_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import (
    rest_docs_service_pb2,
    rest_docs_service_pb2_grpc,
    rest_file_service_pb2,
    rest_file_service_pb2_grpc,
    rest_system_service_pb2,
    rest_system_service_pb2_grpc,
    rest_task_service_pb2,
    rest_task_service_pb2_grpc,
)
from telefuser_grpc._gen.telefuser.v1 import (
    artifact_service_pb2,
    artifact_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
    task_service_pb2,
    task_service_pb2_grpc,
)
from telefuser_grpc._gen.wan.v1 import wan_service_pb2, wan_service_pb2_grpc
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.artifacts import ArtifactServicer
from telefuser_grpc.server.file_guard import FileGuard, FilePlace, everybody
from telefuser_grpc.server.image_to_video.errors import generation_wording
from telefuser_grpc.server.image_to_video.files import file_place as generation_file_place
from telefuser_grpc.server.image_to_video.memory import DeviceMemory
from telefuser_grpc.server.image_to_video.servicer import GenerationServicer
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.listener import Listener
from telefuser_grpc.server.openai.absent import Absent
from telefuser_grpc.server.openai.errors import (
    IMAGE_NAMES,
    SOURCE_NAMES,
    VIDEO_NAMES,
    openai_wording,
)
from telefuser_grpc.server.openai.gallery import Gallery
from telefuser_grpc.server.openai.services import MODULES as IMAGE_MODULES
from telefuser_grpc.server.openai.services import add_image_services
from telefuser_grpc.server.openai.video_content import VideoFiles
from telefuser_grpc.server.openai.videos import VideoParts, VideoServicer
from telefuser_grpc.server.rest.bodies import ErrorFormat, documented_wording
from telefuser_grpc.server.rest.docs import RestDocsServicer
from telefuser_grpc.server.rest.files import RestFileServicer, file_place
from telefuser_grpc.server.rest.system import DescribedTasks, RestSystemServicer
from telefuser_grpc.server.rest.tasks import RestTaskServicer
from telefuser_grpc.server.system import SystemServicer
from telefuser_grpc.server.tasks import TaskServicer
from telefuser_grpc.server.wan.errors import wan_wording
from telefuser_grpc.server.wan.files import file_place as wan_file_place
from telefuser_grpc.server.wan.servicer import WanParts, WanServicer
from telefuser_grpc.server.wording import Wording, Wordings

MODULES = (
    task_service_pb2,
    artifact_service_pb2,
    system_service_pb2,
    rest_task_service_pb2,
    rest_file_service_pb2,
    rest_system_service_pb2,
    rest_docs_service_pb2,
    wan_service_pb2,
    generation_service_pb2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What the servicers call; metrics are None where they are disabled."""

    tasks: Desk
    admission: Admission
    library: Library
    uploads: Uploads
    service: Service
    metrics: Callable[[], bytes] | None = None
    metrics_json: Callable[[], Mapping[str, Any]] | None = None
    wan: WanParts | None = None
    memory: DeviceMemory = field(default_factory=lambda: DeviceMemory(lambda: ()))


class Server:
    """Listens on one address from `start` to `stop`."""

    def __init__(
        self,
        address: str,
        use_cases: UseCases,
        *,
        max_message_bytes: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        keys: KeyCheck | None = None,
        error_format: ErrorFormat = ErrorFormat.DOCUMENTED,
        links: Links | None = None,
        serves_openai: bool = True,
        kept_seconds: float = 0.0,
    ) -> None:
        documented = documented_wording(error_format)
        self._links = links or Links()
        self._serves_openai = serves_openai
        self._kept_seconds = kept_seconds
        self._enter_file = keys.enter_file if keys else everybody
        self._max_message_bytes = max_message_bytes
        self._wordings = Wordings(documented, _other_wordings(documented))
        self._listener = Listener(
            address,
            self._wordings,
            max_message_bytes=max_message_bytes,
            interceptors=interceptors,
            keys=keys,
        )
        self._server = self._listener.grpc
        self._add_own_services(use_cases)
        self._listener.describe(self._modules())

    async def start(self) -> int:
        """Begins to listen and returns the port, 0 for a socket. Raises AddressInUse."""
        return await self._listener.start()

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets the current ones end within the grace, then cuts them."""
        await self._listener.stop(grace_seconds)

    def _add_own_services(self, use: UseCases) -> None:
        server = self._server
        task_service_pb2_grpc.add_TaskServiceServicer_to_server(
            TaskServicer(tasks=use.tasks, admission=use.admission), server
        )
        artifact_service_pb2_grpc.add_ArtifactServiceServicer_to_server(
            ArtifactServicer(library=use.library, uploads=use.uploads), server
        )
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(
            SystemServicer(use.service), server
        )
        rest_task_service_pb2_grpc.add_RestTaskServiceServicer_to_server(
            RestTaskServicer(
                tasks=use.tasks,
                admission=use.admission,
                uploads=use.uploads,
            ),
            server,
        )
        rest_file_service_pb2_grpc.add_RestFileServiceServicer_to_server(
            RestFileServicer(use.library), server
        )
        rest_system_service_pb2_grpc.add_RestSystemServiceServicer_to_server(
            RestSystemServicer(
                DescribedTasks(use.service), metrics=use.metrics, metrics_json=use.metrics_json
            ),
            server,
        )
        rest_docs_service_pb2_grpc.add_RestDocsServiceServicer_to_server(
            RestDocsServicer(lambda: _openapi(serves_openai=self._serves_openai)), server
        )
        if self._serves_openai:
            self._add_videos(use)
            self._add_images(use)
        else:
            server.add_generic_rpc_handlers((Absent("openai"),))
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationServicer(
                tasks=use.tasks,
                admission=use.admission,
                uploads=use.uploads,
                library=use.library,
                service=use.service,
                memory=use.memory,
            ),
            server,
        )
        if use.wan:
            self._add_wan(use, use.wan)
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(
            FileGuard(use.library, self._places(use), enter=self._enter_file), server
        )

    def _add_videos(self, use: UseCases) -> None:
        parts = VideoParts(
            tasks=use.tasks,
            admission=use.admission,
            uploads=use.uploads,
            library=use.library,
            links=self._links,
            max_json_bytes=self._max_message_bytes,
            kept_seconds=self._kept_seconds,
        )
        video_service_pb2_grpc.add_VideoServiceServicer_to_server(
            VideoServicer(parts), self._server
        )

    def _add_images(self, use: UseCases) -> None:
        add_image_services(
            self._server,
            tasks=use.tasks,
            admission=use.admission,
            uploads=use.uploads,
            service=use.service,
            gallery=Gallery(tasks=use.tasks, library=use.library),
            links=self._links,
            max_json_bytes=self._max_message_bytes,
        )

    def _add_wan(self, use: UseCases, parts: WanParts) -> None:
        wan_service_pb2_grpc.add_WanServiceServicer_to_server(
            WanServicer(
                parts,
                tasks=use.tasks,
                admission=use.admission,
                uploads=use.uploads,
                library=use.library,
                links=self._links,
                memory=use.memory,
            ),
            self._server,
        )

    def _places(self, use: UseCases) -> list[FilePlace]:
        return [
            file_place(use.library, self._wordings.documented),
            wan_file_place(use.library),
            generation_file_place(use.library),
            *(self._openai_places(use) if self._serves_openai else ()),
        ]

    def _openai_places(self, use: UseCases) -> list[FilePlace]:
        videos = VideoFiles(tasks=use.tasks, library=use.library)
        gallery = Gallery(tasks=use.tasks, library=use.library)
        return [
            gallery.place(self._wordings.of("/openai.v1.ImageService/")),
            videos.place(self._wordings.of("/openai.v1.VideoService/")),
        ]

    def _modules(self) -> tuple[Any, ...]:
        return (*MODULES, *((video_service_pb2, *IMAGE_MODULES) if self._serves_openai else ()))


def _other_wordings(documented: Wording) -> dict[str, Wording]:
    return {
        "/openai.v1.VideoService/EditVideo": openai_wording(documented, SOURCE_NAMES),
        "/openai.v1.VideoService/ExtendVideo": openai_wording(documented, SOURCE_NAMES),
        "/openai.v1.VideoService/": openai_wording(documented, VIDEO_NAMES),
        "/openai.": openai_wording(documented, IMAGE_NAMES),
        "/wan.": wan_wording,
        "/image_to_video.": generation_wording,
    }


def _openapi(*, serves_openai: bool) -> dict[str, Any]:
    # Imported when it is asked for: most servers never are, and its models take memory.
    from telefuser_grpc.server.openapi.document import document

    return document(serves_openai=serves_openai)
