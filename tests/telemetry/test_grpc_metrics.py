"""What a real server's RPCs leave on the metrics page."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from grpc import aio

from telefuser_grpc.telemetry.grpc_metrics import PATH_HEADER, MetricsInterceptor
from telefuser_grpc.telemetry.metrics import Metrics
from tests.fakes.echo import SERVICE, Echo, serve_echo

REST = ((PATH_HEADER, "/v1/tasks/queue/status?verbose=1"),)


class Measured:
    """A measured echo server and its page."""

    def __init__(self, metrics: Metrics, echo: Echo, channel: aio.Channel) -> None:
        self.metrics = metrics
        self.echo = echo
        self.channel = channel

    def value(self, series: str) -> float:
        page = self.metrics.render().decode().splitlines()
        return next((float(line.split()[-1]) for line in page if line.startswith(f"{series} ")), 0)

    def rpcs(self, method: str, code: str) -> float:
        name = "telefuser_grpc_request_duration_seconds_count"
        return self.value(f'{name}{{code="{code}",method="/{SERVICE}/{method}"}}')

    async def say(self, message: bytes, **options: object) -> None:
        await self.channel.unary_unary(f"/{SERVICE}/Say")(message, **options)


@pytest.fixture
async def measured() -> AsyncIterator[Measured]:
    metrics = Metrics(version="1", counts=dict, replicas=lambda: ())
    echo = Echo(observe=lambda: b"telefuser_http_requests_inflight 1\n" in metrics.render())
    async with serve_echo(echo, [MetricsInterceptor(metrics)]) as channel:
        yield Measured(metrics, echo, channel)


async def test_rest_request_is_counted_measured_and_shown_in_flight(measured: Measured) -> None:
    await measured.say(b"hello", metadata=REST)

    assert measured.value("telefuser_http_requests_total") == 1
    assert measured.value("telefuser_http_request_duration_seconds_count") == 1
    assert measured.value("telefuser_http_requests_inflight") == 0
    assert measured.echo.observed == [True]


async def test_native_call_is_an_rpc_but_no_rest_request(measured: Measured) -> None:
    await measured.say(b"hello")

    assert measured.rpcs("Say", "OK") == 1
    assert measured.value("telefuser_http_requests_total") == 0


async def test_refused_request_counts_under_its_status(measured: Measured) -> None:
    with pytest.raises(aio.AioRpcError):
        await measured.say(b"NOT_FOUND", metadata=REST)

    assert measured.rpcs("Say", "NOT_FOUND") == 1
    assert measured.value("telefuser_http_requests_total") == 1
    assert measured.value("telefuser_http_requests_inflight") == 0


async def test_stream_is_in_flight_until_its_end(measured: Measured) -> None:
    call = measured.channel.unary_stream(f"/{SERVICE}/Repeat")(b"a", metadata=REST)
    assert [message async for message in call] == [b"a"] * 3

    assert measured.echo.observed == [True] * 3
    assert measured.rpcs("Repeat", "OK") == 1


async def test_rpc_is_measured_by_method_and_status() -> None:
    now = iter([10.0, 12.5])
    metrics = Metrics(version="1", counts=dict, replicas=lambda: ())
    interceptor = MetricsInterceptor(metrics, clock=lambda: next(now))
    async with serve_echo(Echo(), [interceptor]) as channel:
        await channel.unary_unary(f"/{SERVICE}/Say")(b"hello")

    labels = f'{{code="OK",method="/{SERVICE}/Say"}} 2.5'
    assert f"telefuser_grpc_request_duration_seconds_sum{labels}" in metrics.render().decode()


@pytest.mark.parametrize("method", [f"/{SERVICE}/Missing", "/grpc.health.v1.Health/Say"])
async def test_unknown_methods_and_those_of_grpc_itself_make_no_series(
    method: str, measured: Measured
) -> None:
    with suppress(aio.AioRpcError):
        await measured.channel.unary_unary(method)(b"hello")

    assert "telefuser_grpc_request_duration_seconds_count" not in measured.metrics.render().decode()


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/v1/service/health",
        "/v1/service/ready",
        "/v1/service/metrics?x=1",
        "/v1/service/metrics/json",
    ],
)
async def test_probes_and_scrapes_are_no_rest_requests(path: str, measured: Measured) -> None:
    await measured.say(b"hello", metadata=((PATH_HEADER, path),))

    assert measured.value("telefuser_http_requests_total") == 0
    assert measured.rpcs("Say", "OK") == 1
