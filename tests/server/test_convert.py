"""Between the native wire types and the domain."""

from collections.abc import Iterator

import pytest

from telefuser_grpc._gen.telefuser.v1 import error_pb2, system_service_pb2, task_pb2
from telefuser_grpc._gen.telefuser.v1.task_service_pb2 import ListTasksRequest
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import TaskError, TaskState
from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.server import convert


@pytest.mark.parametrize(("asked", "taken"), [(0, 50), (1, 1), (500, 500), (501, 500)])
def test_page_has_a_default_and_a_greatest_size(asked: int, taken: int) -> None:
    assert convert.task_query(ListTasksRequest(page_size=asked)).page_size == taken


def test_every_state_has_a_name_on_the_wire() -> None:
    names = set(task_pb2.TaskState.keys()) - {"TASK_STATE_UNSPECIFIED"}

    assert {convert.STATE_NAMES[state] for state in TaskState} == names


@pytest.mark.parametrize("state", ReplicaState)
def test_every_state_of_a_replica_has_a_name_on_the_wire(state: ReplicaState) -> None:
    (replica,) = convert.replicas([ReplicaStatus(id=0, state=state)])

    assert system_service_pb2.ReplicaState.Name(replica.state).endswith(state.name)


def test_every_reason_has_a_name_on_the_wire() -> None:
    tree = _tree(TeleFuserError)
    for error in (each for each in tree if each.__module__ == TeleFuserError.__module__):
        message = convert.task_error(TaskError(reason=error.reason, message="no"))

        assert error_pb2.ErrorReason.Name(message.reason) == f"ERROR_REASON_{error.reason}"


def _tree(error: type[TeleFuserError]) -> Iterator[type[TeleFuserError]]:
    yield error
    for each in error.__subclasses__():
        yield from _tree(each)
