"""The real gRPC server on a socket, with the store and the replicas in memory behind it."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_service_pb2_grpc,
    system_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)
from telefuser_grpc.domain.contract import Enforcement, PipelineContract
from telefuser_grpc.domain.task import TaskEvent
from telefuser_grpc.media.inputs import LocalMediaInputs
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.pipeline.probe import ProbeLimits
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.retention import Retention
from telefuser_grpc.scheduler.room import GuardedInputs, GuardedUploads
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.scheduler.service import Service, ServiceFacts
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.rest.bodies import ErrorFormat
from telefuser_grpc.server.server import Server, UseCases
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from telefuser_grpc.storage.folders import LocalTaskFolders
from tests.fakes.builders import NOW
from tests.fakes.replicas import FakePool, FakeRun, Script
from tests.fakes.tasks import MemoryTaskStore

MAX_UPLOAD_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 4 * 2**20
FACTS = ServiceFacts(pipeline_file="./shapes.py", parallelism=1, task="", replicas=1)
COMPLETES = Script()
HANGS = Script(hangs_after=0)
LIMITS = Limits(queue=3, drain_seconds=0.0, cancel_seconds=0.5)
PROMPT = {"type": "string", "required": True, "max_length": 50, "description": "What to show"}
CONTRACT = PipelineContract.parse(
    {
        "pipeline_name": "shapes",
        "supported_tasks": ["t2v", "i2v", "t2i"],
        "task_contracts": {
            "t2v": {
                "parameters": {
                    "prompt": PROMPT,
                    "steps": {"type": "integer", "default": 4, "minimum": 1, "maximum": 8},
                    "mode": {"type": "string", "enum": ["fast", "fine"]},
                    "guidance": {"type": "number", "default": 7.5, "unit": "weight"},
                    "hidden": {"type": "string", "default": "secret", "exposed": False},
                }
            },
            "i2v": {"parameters": {"prompt": PROMPT}},
            "t2i": {"parameters": {"prompt": PROMPT}},
        },
    },
    stem="shapes",
)


class ObservedStore(MemoryTaskStore):
    """A store that tells which of its watches were closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: asyncio.Queue[str] = asyncio.Queue()

    async def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        try:
            async for event in super().watch(task_id, after_sequence):
                yield event
        finally:
            self.closed.put_nowait(task_id)


class Backend:
    """A served service and what surrounds it; a context manager that runs it.

    Until `open` no pipeline is loaded. Runs hang unless a test gives the pool another script.
    """

    def __init__(
        self,
        folder: Path,
        *,
        facts: ServiceFacts = FACTS,
        pool: FakePool | None = None,
        enforcement: Enforcement = Enforcement.STRICT,
        error_format: ErrorFormat = ErrorFormat.DOCUMENTED,
        keys: KeyCheck | None = None,
        reserve_bytes: int = 0,
    ) -> None:
        self.root = folder / "cache"
        self.address = f"unix:{folder}/s.sock"
        self.tasks = ObservedStore()
        self.pool = pool or FakePool(script=HANGS)
        self.artifacts = LocalArtifactStore(self.root, clock=_now)
        self.uploads = LocalUploads(
            self.root, max_bytes=MAX_UPLOAD_BYTES, limits=ProbeLimits(), clock=_now
        )
        self.scheduler = Scheduler(
            tasks=self.tasks,
            replicas=self.pool,
            artifacts=self.artifacts,
            limits=LIMITS,
            clock=_now,
        )
        self.janitor = Janitor(
            tasks=self.tasks,
            folders=LocalTaskFolders(self.root),
            uploads=self.uploads,
            retention=Retention(reserve_bytes=reserve_bytes),
            clock=_now,
        )
        self.admission = Admission(
            tasks=self.tasks,
            inputs=GuardedInputs(self._inputs(), self.janitor),
            scheduler=self.scheduler,
            enforcement=enforcement,
            clock=_now,
        )
        self.use_cases = self._use_cases(facts)
        self.server = Server(
            self.address,
            self.use_cases,
            max_message_bytes=MAX_MESSAGE_BYTES,
            error_format=error_format,
            keys=keys,
        )
        self.channel = grpc.aio.insecure_channel(self.address)
        self.task_service = task_service_pb2_grpc.TaskServiceStub(self.channel)
        self.artifact_service = artifact_service_pb2_grpc.ArtifactServiceStub(self.channel)
        self.system_service = system_service_pb2_grpc.SystemServiceStub(self.channel)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.root.mkdir(exist_ok=True)
        await self._stack.enter_async_context(self.scheduler)
        await self.server.start()
        self._stack.push_async_callback(self.server.stop, 0)
        self._stack.push_async_callback(self.channel.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def open(self, contract: PipelineContract = CONTRACT) -> None:
        """Admits and runs tasks of a pipeline."""
        self.admission.open(contract)
        self.scheduler.open()

    async def create(self, task_id: str = "", **changes: Any) -> task_pb2.Task:
        """Creates a t2v task, changed as told."""
        response = await self.task_service.CreateTask(create_request(task_id=task_id, **changes))
        return response.task

    async def started(self, task_id: str) -> FakeRun:
        """Waits until a task runs."""
        return await self.pool.started(task_id)

    async def events(
        self, task_id: str, after_sequence: int = 0, *, omit_previews: bool = False
    ) -> AsyncIterator[task_pb2.TaskEvent]:
        """Yields what a native watcher sees."""
        request = task_service_pb2.WatchTaskRequest(
            task_id=task_id, after_sequence=after_sequence, omit_previews=omit_previews
        )
        async for response in self.task_service.WatchTask(request):
            yield response.event

    async def ended(self, task_id: str) -> task_pb2.Task:
        """Waits for a task's end and returns it."""
        async for _ in self.events(task_id):
            pass
        request = task_service_pb2.GetTaskRequest(task_id=task_id)
        return (await self.task_service.GetTask(request)).task

    async def run_to_end(
        self, task_id: str, script: Script = COMPLETES, **changes: Any
    ) -> task_pb2.Task:
        """Creates a task that follows a script and waits for its end."""
        self.pool.scripts[task_id] = [script]
        await self.create(task_id, **changes)
        return await self.ended(task_id)

    async def rewrite(self, task_id: str, content: bytes) -> None:
        """Gives a completed task another content."""
        task = await self.tasks.get(task_id)
        (artifact,) = task.artifacts
        Path(await self.artifacts.open_path(artifact)).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        changed = replace(artifact, size_bytes=len(content), sha256=sha256)
        self.tasks._tasks[task_id] = replace(task, artifacts=(changed,))

    def _inputs(self) -> LocalMediaInputs:
        return LocalMediaInputs(
            self.root,
            uploads=self.uploads,
            allowed_roots=(),
            max_bytes=MAX_UPLOAD_BYTES,
            limits=ProbeLimits(),
        )

    def _use_cases(self, facts: ServiceFacts) -> UseCases:
        desk = Desk(tasks=self.tasks, scheduler=self.scheduler)
        return UseCases(
            tasks=desk,
            admission=self.admission,
            library=Library(tasks=desk, artifacts=self.artifacts, root=str(self.root)),
            uploads=GuardedUploads(self.uploads, self.janitor),
            service=Service(
                facts=facts,
                tasks=desk,
                scheduler=self.scheduler,
                admission=self.admission,
                replicas=self.pool,
            ),
            metrics=lambda: b"telefuser_up 1\n",
        )


def create_request(**changes: Any) -> task_service_pb2.CreateTaskRequest:
    """Returns a request for a t2v task, changed as told; parameters may be a dict."""
    values: dict[str, Any] = {"kind": "t2v", "prompt": "a red ball"} | changes
    if isinstance(values.get("parameters"), dict):
        values["parameters"] = json_format.ParseDict(values["parameters"], Struct())
    return task_service_pb2.CreateTaskRequest(**values)


def _now() -> datetime:
    return NOW
