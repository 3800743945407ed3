"""What the scheduler needs from the world. The docstrings are the contract of every adapter."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from telefuser_grpc.domain.artifact import Artifact, OutputFile, Upload
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Preview, Progress, Task, TaskEvent, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks to list; empty collections stand for all, `owner` "" for every owner.

    Attributes:
        after_id: Begins behind this task, which itself may be of any state, kind and owner; with a
            page token it no longer matters.
        oldest_first: Turns the order round.
    """

    states: tuple[TaskState, ...] = ()
    kinds: tuple[str, ...] = ()
    owner: str = ""
    after_id: str = ""
    oldest_first: bool = False
    page_size: int = 50
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """One page of a listing; an empty token ends it."""

    tasks: tuple[Task, ...]
    next_page_token: str = ""


class TaskStore(Protocol):
    """Keeps tasks and their events, and tells watchers.

    Whatever a caller or a watcher has been told is on disk: `create` and `save` return after the
    commit, and no event is seen before its own. Sequences count each task's events from 1 without
    a gap. When the disk refuses a write, the write raises StorageFull and nothing has changed.
    """

    async def create(self, task: Task) -> Task:
        """Stores a new PENDING task with its first event and returns it.

        A task with the same `owner` and `request_id` is returned instead if its `fingerprint` is
        the same.

        Raises:
            TaskAlreadyExists: The id is taken.
            RequestIdReused: The request id belongs to another fingerprint.
            StorageFull
        """
        ...

    async def find_request(self, owner: str, request_id: str, fingerprint: str) -> Task | None:
        """Returns the task that was created under a request id, or None.

        Raises:
            RequestIdReused: The request id belongs to another fingerprint.
        """
        ...

    async def save(self, task: Task) -> Task:
        """Stores a task's new state and the event that tells of it; returns the task as stored.

        Raises:
            StaleAttempt: The stored task has another attempt, or its state may not become this
                one. A start must carry the stored attempt plus one, everything else the stored.
            TaskNotFound, StorageFull
        """
        ...

    def append(self, task_id: str, attempt: int, change: Progress | Preview) -> None:
        """Adds an event of a running attempt, in order, without waiting for the disk.

        An event of a stale attempt, of a task that no longer runs, or that the disk refuses, is
        dropped.
        """
        ...

    async def get(self, task_id: str) -> Task:
        """Returns a task as last committed. Raises TaskNotFound."""
        ...

    async def list(self, query: TaskQuery) -> TaskPage:
        """Returns tasks, the newest first unless told otherwise.

        Raises:
            InvalidPageToken
            TaskNotFound: There is no task `after_id`.
        """
        ...

    async def find_output(self, name: str, *, owner: str = "") -> Artifact:
        """Returns the newest artifact with this path below a task's outputs, or file name.

        With an owner only what its tasks have made is looked at.

        Raises:
            ArtifactNotFound
        """
        ...

    def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        """Yields the task's events after a sequence: stored ones, then live, until it has ended.

        No event is missed or repeated where the two meet. A watcher that does not keep up misses
        progress and previews but the latest, never a state change; its memory is bounded.

        Raises:
            TaskNotFound: At the first step of the iteration.
        """
        ...

    async def unfinished(self) -> Sequence[Task]:
        """Returns the tasks that have not ended, in the order of their creation."""
        ...

    def counts(self) -> Mapping[TaskState, int]:
        """Returns how many tasks are in each state, all states among the keys; from memory."""
        ...

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields now and after every commit that changed a state; a slow reader skips some."""
        ...

    async def delete(self, task_id: str) -> Task:
        """Removes a task that has ended, with its events. Raises TaskNotFound, TaskNotEnded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTask:
    """A task that has ended, and what its folder holds; None until that is measured."""

    id: str
    size_bytes: int | None = None


class TaskArchive(Protocol):
    """What the task store tells of ended tasks to whoever clears up.

    Questions cost what they return, however many tasks are stored.
    """

    async def oldest_ended(
        self, states: Collection[TaskState], *, before: datetime | None = None, limit: int
    ) -> Sequence[EndedTask]:
        """Returns tasks in these terminal states, the first to end first.

        With `before`, only those that ended before then.
        """
        ...

    async def largest_ended(
        self, states: Collection[TaskState], *, above_bytes: int, limit: int
    ) -> Sequence[EndedTask]:
        """Returns measured tasks in these terminal states that hold more, the largest first."""
        ...

    async def unmeasured(self, *, limit: int) -> Sequence[EndedTask]:
        """Returns ended tasks that were never measured."""
        ...

    async def measure(self, task_id: str, size_bytes: int) -> None:
        """Stores what an ended task's folder holds. Raises TaskNotFound, TaskNotEnded, StorageFull.

        It is no event of the task's story.
        """
        ...

    def ended_bytes(self) -> int:
        """Returns what all measured tasks hold together; from memory."""
        ...

    async def states(self, task_ids: Sequence[str]) -> Mapping[str, TaskState]:
        """Returns the states of those of the tasks that are stored."""
        ...

    def counts(self) -> Mapping[TaskState, int]:
        """As `TaskStore.counts`."""
        ...

    def changes(self) -> AsyncGenerator[None, None]:
        """As `TaskStore.changes`."""
        ...

    async def delete(self, task_id: str) -> Task:
        """As `TaskStore.delete`."""
        ...


class StaleAttempt(Exception):
    """A write came from an attempt that is no longer the task's, or too late for its state."""


class Run(Protocol):
    """One attempt on a replica."""

    @property
    def batch_size(self) -> int:
        """How many jobs made its frames together; 0 while there are none."""
        ...

    def updates(self) -> AsyncIterator[Progress | Preview]:
        """Yields progress and previews, and ends when the frames are made.

        From then on the replica can run another task.

        Raises:
            TaskFailed: The pipeline failed; TaskCancelled after `stop`.
            ReplicaDied: The process is gone.
        """
        ...

    async def result(self) -> tuple[RunReport, Sequence[OutputFile]]:
        """Waits for encoding, checking and hashing, and returns what was made.

        Raises:
            OutputInvalid, OutOfMemory, PipelineFailed, ReplicaDied
        """
        ...

    async def stop(self, grace_seconds: float) -> None:
        """Stops the attempt at its next step and returns when the replica no longer works on it.

        A replica that has not stopped after the grace is killed. Never raises.
        """
        ...


class Replica(Protocol):
    """A leased replica."""

    @property
    def id(self) -> int:
        """Its number, from 0."""
        ...

    async def run(self, job: Job) -> Run:
        """Begins a job. Raises ReplicaDied."""
        ...

    async def run_batch(self, jobs: Sequence[Job]) -> Sequence[Run]:
        """Begins jobs that are made together, or one by one where that fails; in their order.

        Each is an attempt of its own. One that is stopped does not stop the others. They end
        together at the latest with the death of the replica. Raises ReplicaDied.
        """
        ...


class ReplicaPool(Protocol):
    """Lends replicas, first come, first served."""

    def lease(self, *, first: bool = False) -> AbstractAsyncContextManager[Replica]:
        """Waits for an idle replica and holds it inside the `async with`.

        `first` goes before those that already wait, for a task that has lost its replica. The end
        of the block gives the replica back unless it died, which the pool sees by itself.

        Raises:
            NoCapacity: Every replica is dead and none will be started again.
        """
        ...

    async def contract(self) -> PipelineContract:
        """Waits until a replica has loaded the pipeline and returns its contract.

        Raises:
            NoCapacity: The pipeline could not be loaded.
        """
        ...

    def status(self) -> Sequence[ReplicaStatus]:
        """Returns every replica, by number."""
        ...

    @property
    def is_lost(self) -> bool:
        """Tells whether every replica is dead and none will be started again."""
        ...


@dataclass(frozen=True, slots=True)
class Derivation:
    """A file that can be made from an artifact at any time.

    Attributes:
        name: What it is called, with an extension that tells its type.
        make: Writes it, given the artifact's path and its own; runs in a thread.
    """

    name: str
    content_type: str
    make: Callable[[str, str], None]


class ArtifactStore(Protocol):
    """Keeps the files of tasks, each task in a folder of its own."""

    async def prepare(self, task_id: str, attempt: int) -> str:
        """Makes and returns the absolute scratch folder of one attempt. Raises StorageFull."""
        ...

    async def adopt(
        self, task_id: str, media_type: str, files: Sequence[OutputFile]
    ) -> tuple[Artifact, ...]:
        """Moves finished files to the task's outputs, durably, and returns them as artifacts.

        Raises:
            StorageFull
        """
        ...

    async def discard_scratch(self, task_id: str) -> None:
        """Removes what attempts have left that is not an output."""
        ...

    async def delete(self, task_id: str) -> None:
        """Removes the task's folder with everything in it."""
        ...

    async def open_path(self, artifact: Artifact) -> str:
        """Returns the absolute path of an artifact that is there.

        Raises:
            ArtifactNotFound, AccessDenied
        """
        ...

    async def derived(self, artifact: Artifact, derivation: Derivation) -> Artifact:
        """Returns a file made from an artifact, which is made once and lies beside the outputs.

        It goes with its task, and no listing names it.

        Raises:
            ArtifactNotFound, StorageFull
            TeleFuserError: From `make`; nothing is left then.
        """
        ...

    def input_path(self, task_id: str, name: str) -> str:
        """Returns the absolute path of an input of a task."""
        ...


class TaskFolders(Protocol):
    """Clears up the folders of tasks, a bounded number of them at each call.

    Ids that have no folder are passed over.
    """

    def names(self) -> AsyncGenerator[Sequence[str], None]:
        """Yields the ids of all tasks that have a folder, some at a time."""
        ...

    async def sizes(self, task_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns the bytes of the files in each folder, 0 where there is none."""
        ...

    async def delete(self, task_ids: Sequence[str]) -> None:
        """As `ArtifactStore.delete`: each is out of sight at once, and then removed.

        What cannot be removed is left to a later sweep.
        """
        ...

    async def delete_stale(self, task_ids: Sequence[str], before: datetime) -> Sequence[str]:
        """Removes those folders in which nothing was written since a time; returns their ids."""
        ...

    async def discard_parts(self, task_ids: Sequence[str], before: datetime) -> int:
        """Removes scratch and `.part` files last written before a time; returns how many."""
        ...

    async def discard_outputs(self, task_ids: Sequence[str], before: datetime) -> int:
        """Removes the outputs' subfolders last written before a time; returns how many."""
        ...

    async def finish_removals(self) -> None:
        """Removes what an earlier server had put out of sight and not yet removed."""
        ...

    async def free_bytes(self) -> int:
        """Returns how much the file system still takes."""
        ...


class MediaInputs(Protocol):
    """Turns what a request says of its media into files of the task."""

    async def take(
        self, task_id: str, fields: Mapping[str, Any], *, limits: Mapping[str, InputLimits]
    ) -> dict[str, str]:
        """Stores each given media field as a checked file; returns names by field.

        The files lie in the task's own folder. On an error nothing is left behind. `limits` bounds
        how large the media of some fields may be.

        Raises:
            InputRejected, UploadTooLarge, UploadNotFound, StorageFull
        """
        ...

    async def share(self, task_id: str, other: Task) -> dict[str, str]:
        """Gives a task the files that another has of the same media; returns names by field.

        Returns nothing, and leaves nothing, where the other has them no more. Raises StorageFull.
        """
        ...

    async def drop(self, task_id: str) -> None:
        """Removes the inputs of a task that was refused after all."""
        ...


class UploadSink(Protocol):
    """Takes one upload, piece by piece."""

    async def write(self, chunk: bytes) -> None:
        """Takes the next piece. Raises UploadTooLarge, StorageFull."""
        ...

    async def finish(self) -> Upload:
        """Checks the whole and keeps it. Raises ChecksumMismatch, InputRejected, StorageFull."""
        ...


class Uploads(Protocol):
    """Keeps the files that callers send to be inputs."""

    def receive(
        self, *, field: str = "file", size_bytes: int = 0, sha256: str = ""
    ) -> AbstractAsyncContextManager[UploadSink]:
        """Opens a sink; what was not finished when the block is left is removed.

        `field` names the file in errors. A size of 0 and an empty checksum promise nothing.
        """
        ...

    async def discard(self, upload_id: str) -> None:
        """Removes an upload; inputs that were taken from it stay."""
        ...


class UploadSweep(Protocol):
    """Clears up uploads."""

    async def sweep(self, older_than: datetime) -> int:
        """Removes uploads, whole and broken, last written before a time; returns how many.

        A task that was created from one keeps its own input.
        """
        ...
