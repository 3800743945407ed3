"""Tracing of a whole process: set up, carried to another one, and absent without a collector."""

import subprocess
import sys

import pytest
from opentelemetry import trace

from telefuser_grpc.telemetry.tracing import configure_tracing, context_from
from tests.fakes.otlp import OtlpReceiver, attributes_of

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

SERVER = """
import subprocess, sys
from telefuser_grpc.scheduler.spans import current_trace_parent, span
from telefuser_grpc.telemetry.tracing import configure_tracing

endpoint, trace_parent, replica = sys.argv[1:]
shutdown = configure_tracing(endpoint=endpoint, service_name="telefuser", instance="server-1")
with span("task", trace_parent, kind="t2v"):
    with span("task.run"):
        parent = current_trace_parent()
        subprocess.run([sys.executable, "-c", replica, endpoint, parent], check=True)
shutdown()
"""
REPLICA = """
import json, sys
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.scheduler.spans import mark_step, span
from telefuser_grpc.telemetry.replica import ReplicaTelemetry

endpoint, trace_parent = sys.argv[1:]
told = ReplicaTelemetry(log_format="json", trace_endpoint=endpoint).argument
shutdown = ReplicaTelemetry(**json.loads(told)).start()
with span("replica.run", trace_parent):
    mark_step(Progress(step=1, steps=2))
    mark_step(Progress(step=2, steps=2))
shutdown()
"""
OFF = """
import asyncio, sys
import telefuser_grpc.telemetry.grpc_metrics, telefuser_grpc.telemetry.metered_store
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.scheduler.spans import current_trace_parent, mark_step, span
from telefuser_grpc.telemetry.replica import ReplicaTelemetry

shutdown = ReplicaTelemetry().start()
with span("task", kind="t2v"):
    mark_step(Progress(step=1, steps=2))
    assert current_trace_parent() == ""
shutdown()
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "torch", "pynvml", "PIL", "av")
print([name for name in sys.modules if name.startswith(heavy)])
"""


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_one_trace_runs_from_the_caller_through_the_server_into_the_replica(
    scheme: str, receiver: OtlpReceiver
) -> None:
    run(SERVER, scheme + receiver.endpoint, TRACE_PARENT, REPLICA)

    task, work = receiver.span("task"), receiver.span("task.run")
    replica = receiver.span("replica.run")
    assert task.parent_span_id.hex() == "b7ad6b7169203331"
    assert work.parent_span_id == task.span_id
    assert replica.parent_span_id == work.span_id
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE_PARENT.split("-")[1]}


def test_spans_name_their_process_and_mark_each_step(receiver: OtlpReceiver) -> None:
    run(SERVER, receiver.endpoint, TRACE_PARENT, REPLICA)

    replica = receiver.span("replica.run")
    steps = [attributes_of(event) for event in replica.events]
    assert [step["step"] for step in steps] == [1, 2]
    assert steps[0] == {"step": 1, "steps": 2, "stage": "denoising"}
    assert attributes_of(receiver.span("task"))["kind"] == "t2v"
    assert receiver.resource_of(receiver.span("task"))["service.instance.id"] == "server-1"
    assert receiver.resource_of(replica)["service.name"] == "telefuser-replica"


def test_without_endpoint_no_sdk_and_nothing_heavy_is_imported() -> None:
    assert run(OFF).strip() == "[]"


def test_shutdown_without_endpoint_does_nothing() -> None:
    before = trace.get_tracer_provider()

    configure_tracing(endpoint=None, service_name="telefuser", instance="1")()

    assert trace.get_tracer_provider() is before


def test_trace_parent_names_a_remote_span() -> None:
    span = trace.get_current_span(context_from(TRACE_PARENT)).get_span_context()

    assert trace.format_span_id(span.span_id) == "b7ad6b7169203331"
    assert span.is_remote


@pytest.mark.parametrize("text", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", "é" * 600])
def test_malformed_trace_parent_names_none(text: str) -> None:
    assert not trace.get_current_span(context_from(text)).get_span_context().is_valid
