"""Finds artifacts by the names under which callers know them."""

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.artifact_name import parse_artifact_name
from telefuser_grpc.errors import ArtifactNotFound, TaskNotFound
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import ArtifactStore, Derivation


class Library:
    """Looks in the task store for who made a file, and in the artifact store for the file.

    Args:
        root: The folder below which artifacts lie, for callers who name them by absolute paths;
            "" knows no such names.
    """

    def __init__(self, *, tasks: Desk, artifacts: ArtifactStore, root: str = "") -> None:
        self._tasks = tasks
        self._artifacts = artifacts
        self._root = root

    async def find(self, name: str) -> Artifact:
        """Returns the artifact that a name stands for: its id, its path, or its file name.

        A file name that several tasks have used stands for the newest.

        Raises:
            ArtifactNotFound, AccessDenied
        """
        path = parse_artifact_name(name, root=self._root)
        if not path.startswith("tasks/"):
            return await self._tasks.find_output(path)
        for artifact in await self._made_by(path.split("/")[1]):
            if artifact.path.split("/", 2)[2] == path.split("/", 2)[2]:
                return artifact
        raise ArtifactNotFound(name)

    async def open_path(self, artifact: Artifact) -> str:
        """Returns the absolute path of an artifact's file. Raises ArtifactNotFound."""
        return await self._artifacts.open_path(artifact)

    async def derived(self, artifact: Artifact, derivation: Derivation) -> Artifact:
        """Returns a file made from an artifact, as `ArtifactStore.derived`."""
        return await self._artifacts.derived(artifact, derivation)

    async def _made_by(self, task_id: str) -> tuple[Artifact, ...]:
        try:
            return (await self._tasks.get(task_id)).artifacts
        except TaskNotFound:
            return ()
