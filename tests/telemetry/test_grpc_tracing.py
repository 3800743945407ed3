"""Spans of RPCs of a real server, as a collector receives them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from grpc import aio
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from telefuser_grpc.scheduler.spans import current_trace_parent
from telefuser_grpc.telemetry.grpc_tracing import TracingInterceptor
from tests.fakes.echo import SERVICE, Echo, serve_echo
from tests.fakes.otlp import OtlpReceiver, attributes_of

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
METADATA = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01"),)


class Traced:
    """A traced echo server, a channel to it, and what the collector gets."""

    def __init__(self, echo: Echo, channel: aio.Channel, receiver: OtlpReceiver) -> None:
        self.echo = echo
        self.channel = channel
        self._receiver = receiver

    async def span(self, method: str) -> Span:
        return await asyncio.to_thread(self._receiver.span, f"{SERVICE}/{method}")

    @property
    def names(self) -> list[str]:
        return [span.name for span in self._receiver.spans]

    async def say(self, message: bytes, **options: object) -> bytes:
        answer: bytes = await self.channel.unary_unary(f"/{SERVICE}/Say")(message, **options)
        return answer


@pytest.fixture
def provider(receiver: OtlpReceiver) -> Iterator[TracerProvider]:
    """Sends each span when it ends."""
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=receiver.endpoint, insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


@pytest.fixture
async def traced(provider: TracerProvider, receiver: OtlpReceiver) -> AsyncIterator[Traced]:
    echo = Echo(observe=current_trace_parent)
    interceptor = TracingInterceptor(provider.get_tracer("test"))
    async with serve_echo(echo, [interceptor]) as channel:
        yield Traced(echo, channel, receiver)


async def send(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


async def test_span_of_an_rpc_is_below_the_callers(traced: Traced) -> None:
    answer = await traced.say(b"hello", metadata=METADATA)

    span = await traced.span("Say")
    assert answer == b"hello"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.trace_id.hex() == TRACE_ID
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes_of(span) == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Say",
        "rpc.grpc.status_code": 0,
    }


async def test_rpc_without_a_trace_begins_one(traced: Traced) -> None:
    await traced.say(b"hello")

    assert (await traced.span("Say")).parent_span_id == b""


async def test_streams_of_every_kind_are_one_span_each_and_answer_as_before(
    traced: Traced,
) -> None:
    channel = traced.channel
    repeat = channel.unary_stream(f"/{SERVICE}/Repeat")(b"a", metadata=METADATA)
    repeated = [message async for message in repeat]
    joined = await channel.stream_unary(f"/{SERVICE}/Join")(send(b"a", b"b"), metadata=METADATA)
    chat = channel.stream_stream(f"/{SERVICE}/Chat")(send(b"a", b"b"), metadata=METADATA)
    chatted = [message async for message in chat]

    assert (repeated, joined, chatted) == ([b"a"] * 3, b"ab", [b"a", b"b"])
    for method in ("Repeat", "Join", "Chat"):
        assert (await traced.span(method)).trace_id.hex() == TRACE_ID


async def test_handler_works_inside_the_span_for_the_whole_stream(traced: Traced) -> None:
    call = traced.channel.unary_stream(f"/{SERVICE}/Repeat")(b"a", metadata=METADATA)
    assert [message async for message in call] == [b"a"] * 3

    span = await traced.span("Repeat")
    assert traced.echo.observed == [f"00-{TRACE_ID}-{span.span_id.hex()}-01"] * 3


@pytest.mark.parametrize(
    ("message", "code", "status"),
    [
        (b"NOT_FOUND", grpc.StatusCode.NOT_FOUND, Status.STATUS_CODE_UNSET),
        (b"RESOURCE_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED, Status.STATUS_CODE_UNSET),
        (b"INTERNAL", grpc.StatusCode.INTERNAL, Status.STATUS_CODE_ERROR),
        (b"raise", grpc.StatusCode.UNKNOWN, Status.STATUS_CODE_ERROR),
    ],
)
async def test_span_tells_the_status_and_only_faults_of_the_server_are_errors(
    message: bytes, code: grpc.StatusCode, status: int, traced: Traced
) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await traced.say(message)

    span = await traced.span("Say")
    assert refused.value.code() is code
    assert attributes_of(span)["rpc.grpc.status_code"] == code.value[0]
    assert span.status.code == status
    assert "/srv/secret/path" not in str(span)


async def test_abort_in_a_stream_reaches_caller_and_span(traced: Traced) -> None:
    call = traced.channel.unary_stream(f"/{SERVICE}/Repeat")(b"UNAVAILABLE")
    with pytest.raises(aio.AioRpcError) as refused:
        await call.read()

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    span = await traced.span("Repeat")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span.status.message == "UNAVAILABLE"


@pytest.mark.parametrize("method", ["Say", "Repeat"])
async def test_call_that_its_caller_drops_ends_as_cancelled(method: str, traced: Traced) -> None:
    call = (
        traced.channel.unary_unary(f"/{SERVICE}/Say")(b"wait")
        if method == "Say"
        else traced.channel.unary_stream(f"/{SERVICE}/Repeat")(b"wait")
    )
    await traced.echo.waits.wait()
    call.cancel()

    span = await traced.span(method)
    assert attributes_of(span)["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]
    assert span.status.code == Status.STATUS_CODE_UNSET


async def test_call_that_runs_out_of_time_ends_as_deadline_exceeded(traced: Traced) -> None:
    with pytest.raises(aio.AioRpcError):
        await traced.say(b"wait", timeout=0.2)

    span = await traced.span("Say")
    assert span.status.message == "DEADLINE_EXCEEDED"


async def test_handler_in_a_thread_answers_and_health_is_not_traced(traced: Traced) -> None:
    shouted = await traced.channel.unary_unary(f"/{SERVICE}/Shout")(b"hello")
    health = await traced.channel.unary_unary("/grpc.health.v1.Health/Say")(b"hello")
    await traced.say(b"last")
    await traced.span("Say")

    assert (shouted, health) == (b"HELLO", b"hello")
    assert traced.names == [f"{SERVICE}/Say"]


async def test_unknown_method_is_refused_as_before(traced: Traced) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await traced.channel.unary_unary(f"/{SERVICE}/Whisper")(b"hello")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
