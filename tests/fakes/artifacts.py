"""An artifact store and media inputs in memory; scratch folders are real but temporary."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.artifact import Artifact, MediaFacts, OutputFile
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import ArtifactNotFound, TeleFuserError
from telefuser_grpc.scheduler.ports import Derivation
from tests.fakes.builders import NOW


class MemoryArtifactStore:
    """An `ArtifactStore`; `fault`, once set, is raised by the next `prepare` or `adopt`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.adopted: list[str] = []
        self.discarded: asyncio.Queue[str] = asyncio.Queue()
        self.deleted: list[str] = []
        self.fault: TeleFuserError | None = None

    async def prepare(self, task_id: str, attempt: int) -> str:
        self._fail_once()
        folder = self.root / task_id / str(attempt)
        folder.mkdir(parents=True)
        return str(folder)

    async def adopt(
        self, task_id: str, media_type: str, files: Sequence[OutputFile]
    ) -> tuple[Artifact, ...]:
        self._fail_once()
        self.adopted.append(task_id)
        return tuple(
            Artifact(
                task_id=task_id,
                path=f"tasks/{task_id}/outputs/{media_type}s/{file.name}",
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                created_at=NOW,
                facts=file.facts,
            )
            for file in files
        )

    async def derived(self, artifact: Artifact, derivation: Derivation) -> Artifact:
        path = f"tasks/{artifact.task_id}/outputs/derived/{derivation.name}"
        facts = MediaFacts(content_type=derivation.content_type)
        return replace(artifact, path=path, facts=facts)

    async def discard_scratch(self, task_id: str) -> None:
        self.discarded.put_nowait(task_id)

    async def delete(self, task_id: str) -> None:
        self.deleted.append(task_id)

    async def open_path(self, artifact: Artifact) -> str:
        if artifact.task_id in self.deleted:
            raise ArtifactNotFound(artifact.id)
        return str(self.root / artifact.path)

    def input_path(self, task_id: str, name: str) -> str:
        return f"/inputs/{task_id}/{name}"

    def _fail_once(self) -> None:
        if fault := self.fault:
            self.fault = None
            raise fault


class MemoryMediaInputs:
    """`MediaInputs` that takes every media field; `fault` is raised for it once it is set."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.limits: Mapping[str, InputLimits] = {}
        self.shared: list[str] = []
        self.dropped: list[str] = []
        self.fault: TeleFuserError | None = None

    async def take(
        self, task_id: str, fields: Mapping[str, Any], *, limits: Mapping[str, InputLimits]
    ) -> dict[str, str]:
        given = [name for name in fields if name.endswith("_image_path")]
        if self.fault and given:
            raise self.fault
        self.limits = limits
        self.taken.append(task_id)
        return {name: f"{name}.png" for name in given}

    async def share(self, task_id: str, other: Task) -> dict[str, str]:
        if other.id in self.dropped:
            return {}
        self.shared.append(task_id)
        return dict(other.inputs)

    async def drop(self, task_id: str) -> None:
        self.dropped.append(task_id)
