"""One request is one trace, from the caller over Envoy and the server to the replica."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.end_to_end.conftest import PUPPET
from tests.fakes.otlp import OtlpReceiver, attributes_of
from tests.fakes.service import Service

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
RPC = "telefuser.rest.v1.RestTaskService/CreateTask"


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> list[Span]:
    """The spans of one request that named its trace, as its collector got them."""
    folder = tmp_path_factory.mktemp("trace")
    with OtlpReceiver() as receiver:
        with Service(PUPPET, folder, otlp_endpoint=receiver.endpoint) as service:
            make_film(service)
        return [span for span in receiver.spans if span.trace_id.hex() == CALLER_TRACE]


def make_film(service: Service) -> None:
    with service.http() as http, service.client() as client:
        trace_parent = f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"
        body = {"prompt": "p", "steps": 3, "task_id": "film"}
        created = http.post("/v1/tasks/create", json=body, headers={"traceparent": trace_parent})
        assert created.status_code == 200
        assert client.wait("film").state == "completed"


def only(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


def ancestors(spans: list[Span], name: str) -> list[str]:
    """Returns the names from a span up to the caller's."""
    by_id = {span.span_id: span for span in spans}
    names = []
    span: Span | None = only(spans, name)
    while span is not None:
        names.append(span.name)
        root = span.parent_span_id.hex()
        span = by_id.get(span.parent_span_id)
    return [*names, root]


def test_task_is_below_the_caller_s_span(spans: list[Span]) -> None:
    assert ancestors(spans, "task") == ["task", RPC, "router server egress", "ingress", CALLER_SPAN]


def test_inputs_are_fetched_below_the_call(spans: list[Span]) -> None:
    assert ancestors(spans, "task.inputs")[:2] == ["task.inputs", RPC]


@pytest.mark.parametrize("name", ["task.queue", "task.run", "task.store"])
def test_stages_are_below_the_task(spans: list[Span], name: str) -> None:
    assert ancestors(spans, name)[:3] == [name, "task", RPC]


@pytest.mark.parametrize("name", ["replica.run", "replica.encode"])
def test_replica_works_below_the_run(spans: list[Span], name: str) -> None:
    assert ancestors(spans, name)[:4] == [name, "task.run", "task", RPC]


def test_steps_are_marked_on_the_run(spans: list[Span]) -> None:
    events = only(spans, "replica.run").events

    assert [event.name for event in events] == ["step"] * 3
    assert [attributes_of(event)["step"] for event in events] == [1, 2, 3]


def test_nothing_else_is_in_the_trace(spans: list[Span]) -> None:
    gateway = ["ingress", "router server egress"]
    server = [RPC, "task", "task.inputs", "task.queue", "task.run", "task.store"]
    replica = ["replica.run", "replica.encode"]

    assert sorted(span.name for span in spans) == sorted(gateway + server + replica)
