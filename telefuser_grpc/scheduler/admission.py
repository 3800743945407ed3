"""The way in: turns a request into a stored task, or says why not."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from telefuser_grpc.domain.contract import (
    Enforcement,
    PipelineContract,
    TaskContract,
    given_inputs,
    is_empty,
)
from telefuser_grpc.domain.kinds import INPUT_FIELDS, MediaType
from telefuser_grpc.domain.media_source import public_source
from telefuser_grpc.domain.output import new_task_id, output_name, task_id_violation
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import (
    InvalidFields,
    PipelineNotReady,
    TaskAlreadyExists,
    TaskNotFound,
    TeleFuserError,
    Violation,
)
from telefuser_grpc.scheduler.callers import current_caller
from telefuser_grpc.scheduler.names import stored_id, told_task
from telefuser_grpc.scheduler.ports import MediaInputs, TaskQuery, TaskStore
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.scheduler.spans import current_trace_parent, span

MAX_TEXT_LENGTH = 32_000
MAX_NAME_LENGTH = 128  # of a field
RESENT_STATES = (TaskState.PENDING, TaskState.PROCESSING, TaskState.COMPLETED)
RESENT_TASKS = 100
RESENT_WITHIN = timedelta(minutes=15)
"""Longer than a client waits for an answer before it sends a request again."""
MAX_REQUEST_ID_LENGTH = 128
RESERVED_FIELDS = ("latent_data",)  # what the service itself tells a pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """What a caller asks for.

    Attributes:
        fields: The task fields that the caller has given, media among them.
        generic_defaults: What the caller's protocol fills in for fields that neither the caller
            nor the contract has given.
        contents: What stands in the fingerprint for a field whose value is another each time, as
            an upload's checksum does for its id.
        kind: Empty to infer it from the media given.
        default_kind: What a request without a kind and without media asks for by its protocol,
            where the pipeline makes it.
        media_type: Bounds what is inferred to kinds that make it.
        task_id: Empty to let the service choose. What a caller chooses is a name of its own.
        has_final_id: Whether the task id is one that nobody could have chosen before, and is
            stored as it is.
        request_id: Makes the request safe to repeat. Empty turns that off.
        resends: How often the client says to have sent this before without an answer; None where
            clients do not count. A resent request gets the task of the first.
        sender: Tells apart clients that are one caller to the service, among those who count.
    """

    fields: Mapping[str, Any]
    generic_defaults: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    default_kind: str = ""
    media_type: MediaType | None = None
    task_id: str = ""
    request_id: str = ""
    resends: int | None = None
    sender: str = ""
    owner: str = ""
    has_final_id: bool = False

    @property
    def fingerprint(self) -> str:
        """A digest that two requests share if and only if they ask for the same."""
        asked = [self.kind, self.task_id, {**self.fields, **self.contents}, self.sender]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Admission:
    """Checks requests against the contract and stores them as tasks."""

    def __init__(
        self,
        *,
        tasks: TaskStore,
        inputs: MediaInputs,
        scheduler: Scheduler,
        enforcement: Enforcement = Enforcement.STRICT,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tasks = tasks
        self._inputs = inputs
        self._scheduler = scheduler
        self._enforcement = enforcement
        self._clock = clock
        self._contract: PipelineContract | None = None
        self._creations: set[asyncio.Task[Task]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def open(self, contract: PipelineContract) -> None:
        """Begins to admit tasks of a loaded pipeline."""
        self._contract = contract

    @property
    def contract(self) -> PipelineContract:
        """The loaded pipeline's contract. Raises PipelineNotReady."""
        if self._contract is None:
            raise PipelineNotReady
        return self._contract

    @property
    def is_open(self) -> bool:
        """Tells whether a pipeline is loaded."""
        return self._contract is not None

    def check_room(self) -> None:
        """Refuses what could not be admitted now, before a caller has sent it all.

        Raises:
            PipelineNotReady, QueueFull, NoCapacity, ShuttingDown
        """
        if not self.is_open:
            raise PipelineNotReady
        with self._scheduler.reserve():
            pass

    async def admit(self, request: TaskRequest) -> Task:
        """Returns the stored task; from then on it will be finished.

        Raises:
            InvalidRequest: The request cannot be a task of this pipeline.
            TaskAlreadyExists, RequestIdReused, PipelineNotReady
            QueueFull, NoCapacity, ShuttingDown, StorageFull: There is no room now.
        """
        return (await self.admit_all([request]))[0]

    async def admit_all(self, requests: Sequence[TaskRequest]) -> list[Task]:
        """Returns the stored tasks of requests that belong together: of all, or of none.

        Raises:
            As `admit`.
        """
        owned = [replace(request, owner=request.owner or current_caller()) for request in requests]
        for request in owned:
            self._check_ids(request)
        async with AsyncExitStack() as stack:
            for turn in self._turns_of(owned):
                await stack.enter_async_context(turn)
            tasks = [await self._earlier(each) or await self._new(each) for each in owned]
            new = [task for task in tasks if not task.sequence]
            for _ in new:
                stack.enter_context(self._scheduler.reserve())
            return [told_task(each) for each in await self._store_all(tasks)]

    def _turns_of(self, requests: Sequence[TaskRequest]) -> list[asyncio.Lock]:
        """Returns the locks of requests that may be the same: those of one chosen or request id."""
        keys = {_repetition_key(request) for request in requests} - {""}
        return [self._turns.setdefault(key, asyncio.Lock()) for key in sorted(keys)]

    async def _earlier(self, request: TaskRequest) -> Task | None:
        if request.request_id:
            return await self._tasks.find_request(
                request.owner, request.request_id, request.fingerprint
            )
        return await self._first_sent(request) if request.resends else None

    async def _first_sent(self, request: TaskRequest) -> Task | None:
        """Returns the newest task that the same request has led to, unless it came to nothing."""
        query = TaskQuery(owner=request.owner, states=RESENT_STATES, page_size=RESENT_TASKS)
        oldest = self._clock() - RESENT_WITHIN
        for task in (await self._tasks.list(query)).tasks:
            if task.fingerprint == request.fingerprint and task.created_at >= oldest:
                return task
        return None

    async def _new(self, request: TaskRequest) -> Task:
        task = self._draft(request)
        if request.task_id and await self._is_taken(request):
            raise TaskAlreadyExists(request.task_id)
        return task

    async def _is_taken(self, request: TaskRequest) -> bool:
        """Tells whether the caller has a task of that name; those of others take none away."""
        for task_id in {request.task_id, stored_id(request.task_id, request.owner)}:
            with suppress(TaskNotFound):
                if (await self._tasks.get(task_id)).owner == request.owner:
                    return True
        return False

    def _check_ids(self, request: TaskRequest) -> None:
        violations = []
        if request.task_id and (violation := task_id_violation(request.task_id)):
            violations.append(violation)
        if len(request.request_id) > MAX_REQUEST_ID_LENGTH:
            why = f"is longer than {MAX_REQUEST_ID_LENGTH} characters; use a UUID"
            violations.append(Violation("request_id", why, "string_too_long"))
        if violations:
            raise InvalidFields(violations)

    def _draft(self, request: TaskRequest) -> Task:
        """Makes the task that the contract allows."""
        contract = self.contract
        kind = request.kind or _inferred_kind(request, contract)
        task_contract = contract.task(kind)
        completed = task_contract.complete(
            request.fields,
            enforcement=self._enforcement,
            also_required=_generally_required(task_contract) if contract.declared else (),
        )
        undeclared = request.generic_defaults.keys() - task_contract.parameters.keys()
        generic = {name: request.generic_defaults[name] for name in undeclared}
        fields = {**generic, **completed}
        self._check_text(fields, contract=contract)
        now = self._clock()
        name = request.task_id or new_task_id(now, secrets.token_bytes(10))
        is_chosen = bool(request.task_id) and not request.has_final_id
        return Task(
            id=stored_id(name, request.owner) if is_chosen else name,
            kind=kind,
            created_at=now,
            media_type=task_contract.media_type,
            fields=fields,
            sources=_public_sources(fields),
            output_name=output_name(name, task_contract.media_type, fields),
            owner=request.owner,
            request_id=request.request_id,
            fingerprint=request.fingerprint if _is_repeatable(request) else "",
            trace_parent=current_trace_parent(),
        )

    def _check_text(self, fields: Mapping[str, Any], *, contract: PipelineContract) -> None:
        if not contract.declared and is_empty(fields.get("prompt")):
            raise InvalidFields([Violation("prompt", "field required", "missing")])
        violations = [
            Violation(name, f"is longer than {MAX_TEXT_LENGTH} characters", "string_too_long")
            for name, value in fields.items()
            if name not in INPUT_FIELDS and isinstance(value, str) and len(value) > MAX_TEXT_LENGTH
        ]
        violations += [
            Violation(name, f"has a name longer than {MAX_NAME_LENGTH} characters", "name_too_long")
            for name in fields
            if len(name) > MAX_NAME_LENGTH
        ]
        violations += [
            Violation(name, "is set by the service alone; leave it out", "extra_forbidden")
            for name in RESERVED_FIELDS
            if name in fields
        ]
        if violations:
            raise InvalidFields(violations)

    async def _store_all(self, tasks: Sequence[Task]) -> list[Task]:
        """Stores those that are new; when one cannot be stored, the others are ended."""
        stored: list[Task] = []
        try:
            for task in tasks:
                twin = _twin(task, tasks, stored)
                stored.append(task if task.sequence else await self._store(task, twin))
        except BaseException:
            for drafted, task in zip(tasks, stored, strict=False):
                if not drafted.sequence:
                    await self._scheduler.cancel(task.id)
            raise
        return stored

    async def _store(self, task: Task, twin: Task | None) -> Task:
        with span("task.inputs"):
            shared = await self._inputs.share(task.id, twin) if twin else {}
            limits = self._input_limits(task.kind)
            inputs = shared or await self._inputs.take(task.id, task.fields, limits=limits)
        if inputs:
            fields = {name: value for name, value in task.fields.items() if name not in inputs}
            task = replace(task, fields=fields, inputs=inputs)
        creation = asyncio.create_task(self._create(task))
        self._creations.add(creation)
        creation.add_done_callback(self._creations.discard)
        return await asyncio.shield(creation)

    def _input_limits(self, kind: str) -> Mapping[str, InputLimits]:
        is_strict = self._enforcement is Enforcement.STRICT
        return self.contract.task(kind).input_limits if is_strict else {}

    async def _create(self, task: Task) -> Task:
        """Stores and submits the task, also when its caller has gone: it may be on disk by then.

        A task that is refused leaves no media behind.
        """
        try:
            stored = await self._tasks.create(task)
        except TeleFuserError:
            if task.inputs:
                await self._inputs.drop(task.id)
            raise
        self._scheduler.submit(stored)
        return stored


def _inferred_kind(request: TaskRequest, contract: PipelineContract) -> str:
    if request.default_kind in contract.tasks and not given_inputs(request.fields):
        return request.default_kind
    return contract.infer_kind(request.fields, media_type=request.media_type)


def _generally_required(task: TaskContract) -> tuple[str, ...]:
    """Whatever makes pictures needs a prompt, unless its contract says something of prompts."""
    return () if task.media_type is MediaType.NONE else ("prompt",)


def _public_sources(fields: Mapping[str, Any]) -> dict[str, str]:
    sources = {name: public_source(fields[name]) for name in INPUT_FIELDS if name in fields}
    return {name: source for name, source in sources.items() if source}


def _repetition_key(request: TaskRequest) -> str:
    key = request.task_id or request.request_id
    if not key and request.resends is not None:
        key = request.fingerprint
    return f"{request.owner}/{key}" if key else ""


def _twin(task: Task, drafted: Sequence[Task], stored: Sequence[Task]) -> Task | None:
    """Returns a task of the same call that was just stored with the same media."""
    for each, new in zip(drafted, stored, strict=False):
        if new.inputs and not each.sequence and _media(each) == _media(task):
            return new
    return None


def _media(task: Task) -> tuple[str, dict[str, Any]]:
    """Returns what is given, and the kind of task, which bounds it."""
    return task.kind, {name: task.fields[name] for name in given_inputs(task.fields)}


def _is_repeatable(request: TaskRequest) -> bool:
    return bool(request.request_id) or request.resends is not None
