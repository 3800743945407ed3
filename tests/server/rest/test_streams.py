"""The documented REST face of sessions: its bodies and its refusals, to the letter."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from pydantic import BaseModel

from telefuser_grpc._gen.telefuser.rest.v1 import rest_stream_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_stream_service_pb2_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as system_pb
from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.errors import (
    OfferRejected,
    SessionConflict,
    SessionRejected,
    StreamNotRunning,
)
from telefuser_grpc.server.openapi.stream_bodies import (
    AnsweredOffer,
    ClosedSession,
    SessionStatus,
    StreamHealth,
    StreamMetadata,
    StreamStatus,
)
from tests.fakes.streams import ANSWER_SDP, FakePeer
from tests.server.rest.gateway import Answer, Gateway
from tests.server.stream_backend import StreamBackend, opening

OFFER = {"sdp": "v=0", "task": "i2v"}
PUSH = StreamMode.SERVER_PUSH


class Browser:
    """A browser's requests, as the gateway passes them on."""

    def __init__(self, backend: StreamBackend) -> None:
        self.gateway = Gateway(SimpleNamespace(channel=backend.channel))  # type: ignore[arg-type]
        self._streams = rest_stream_service_pb2_grpc.RestStreamServiceStub(backend.channel)

    async def offer(self, body: Any = OFFER, **changes: Any) -> Answer:
        """Posts an offer, changed as told; bytes are posted as they are."""
        data = body if isinstance(body, bytes) else json.dumps({**body, **changes}).encode()
        http = HttpBody(content_type="application/json", data=data)
        return await self._ask(self._streams.OfferSession, pb.OfferSessionRequest(body=http))

    async def hang_up(self, session_id: str) -> Answer:
        """Deletes a connection."""
        request = pb.CloseConnectionRequest(session_id=session_id)
        return await self._ask(self._streams.CloseConnection, request)

    async def close(self, session_id: str) -> Answer:
        """Deletes a session."""
        request = pb.CloseSessionRequest(session_id=session_id)
        return await self._ask(self._streams.CloseSession, request)

    async def status(self, session_id: str) -> Answer:
        """Gets a status."""
        request = pb.GetSessionStatusRequest(session_id=session_id)
        return await self._ask(self._streams.GetSessionStatus, request)

    async def system(self, method: str, request: Any) -> Answer:
        """Asks the service about itself."""
        return await self._ask(getattr(self.gateway.system, method), request)

    async def _ask(self, method: Any, request: Any) -> Answer:
        return await self.gateway.ask(method, request)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[StreamBackend]:
    async with StreamBackend(tmp_path) as served:
        yield served


@pytest.fixture
def browser(backend: StreamBackend) -> Browser:
    return Browser(backend)


@pytest.fixture
async def pushing(tmp_path: Path) -> AsyncIterator[StreamBackend]:
    async with StreamBackend(tmp_path, mode=PUSH) as served:
        yield served


def assert_is(model: type[BaseModel], body: Any) -> None:
    """Every field has its type, and no field is there that the model does not name."""
    model.model_validate_json(json.dumps(body), strict=True, extra="forbid")


async def test_offer_is_answered(backend: StreamBackend, browser: Browser) -> None:
    answer = await browser.offer(session_id="s1")

    assert answer.status == 200
    assert list(answer.json.items()) == [
        ("session_id", "s1"),
        ("sdp", ANSWER_SDP),
        ("type", "answer"),
    ]
    assert_is(AnsweredOffer, answer.json)
    assert backend.connect.offers[0][0] == "v=0"


async def test_answer_has_the_id_that_the_pipeline_gives(
    backend: StreamBackend, browser: Browser
) -> None:
    backend.host.returns_id = "world-7"

    assert (await browser.offer()).json["session_id"] == "world-7"


async def test_pipeline_is_told_exactly_what_was_sent(
    backend: StreamBackend, browser: Browser
) -> None:
    await browser.offer(
        type="offer",
        session_id="s1",
        fps=16,
        seed=2**80,
        deep={"a": [1, 2.5, None, {"b": "ä"}]},
        none=None,
        config={"seed": 1, "control_mode": "cam", "fps": 8},
    )

    (config,) = backend.host.configs
    assert config == {
        "task": "i2v",
        "fps": 16,
        "seed": 2**80,
        "deep": {"a": [1, 2.5, None, {"b": "ä"}]},
        "none": None,
        "control_mode": "cam",
        "session_id": "s1",
    }
    assert type(config["fps"]) is int


async def test_pushing_pipeline_is_told_all_but_nulls(pushing: StreamBackend) -> None:
    await Browser(pushing).offer(session_id="s1", prompt=None, size=[1, 2], config={"a": None})
    await pushing.host.begun("s1")

    assert pushing.host.requests == [
        {
            "task": "i2v",
            "size": [1, 2],
            "config": {"a": None},
            "session_id": "s1",
            "task_id": "s1",
        }
    ]


async def test_pushing_pipeline_is_told_of_a_config_that_was_not_sent(
    pushing: StreamBackend,
) -> None:
    await Browser(pushing).offer(session_id="s1")
    await pushing.host.begun("s1")

    assert pushing.host.requests[0]["config"] == {}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b"", [(["body"], "missing")]),
        (b"[]", [(["body"], "model_attributes_type")]),
        (b"{", [(["body", 1], "json_invalid")]),
        ({}, [(["body", "sdp"], "missing"), (["body", "task"], "missing")]),
        (OFFER | {"sdp": 1}, [(["body", "sdp"], "string_type")]),
        (OFFER | {"type": "answer"}, [(["body", "type"], "enum")]),
        (OFFER | {"config": []}, [(["body", "config"], "dict_type")]),
        (OFFER | {"fps": 0}, [(["body", "fps"], "greater_than")]),
        (OFFER | {"fps": 1000}, [(["body", "fps"], "less_than_equal")]),
        (OFFER | {"config": {"fps": "many"}}, [(["body", "config.fps"], "fps")]),
        (OFFER | {"session_id": "a/b"}, [(["body", "session_id"], "string_pattern_mismatch")]),
        (OFFER | {"session_id": 7}, [(["body", "session_id"], "string_type")]),
    ],
)
async def test_malformed_offer_is_refused_with_its_faults(
    backend: StreamBackend, browser: Browser, body: Any, faults: list[Any]
) -> None:
    answer = await browser.offer(body)

    assert (answer.status, answer.faults) == (422, faults)
    assert (backend.host.configs, backend.sessions.counts()) == ([], {})


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (SessionRejected("no image"), 400, "Session creation failed: no image"),
        (SessionConflict("one at a time"), 409, "Session creation conflict: one at a time"),
        (StreamNotRunning(), 503, "Stream service is not running"),
    ],
)
async def test_refusal_of_the_pipeline_is_a_sentence(
    backend: StreamBackend, browser: Browser, error: Exception, status: int, detail: str
) -> None:
    backend.host.refusal = error

    answer = await browser.offer()

    assert (answer.status, answer.json) == (status, {"detail": detail})


async def test_offer_that_cannot_be_answered_is_rolled_back(
    backend: StreamBackend, browser: Browser
) -> None:
    backend.connect.refusal = OfferRejected("it has no video")

    answer = await browser.offer(session_id="s1")

    assert answer.status == 400
    assert answer.json == {"detail": "SDP negotiation failed: it has no video"}
    assert backend.host.closed == ["s1"]


async def test_offer_without_room_is_refused(tmp_path: Path) -> None:
    async with StreamBackend(tmp_path, limit=1) as backend:
        browser = Browser(backend)
        await browser.offer(session_id="s1")

        taken, full = await browser.offer(session_id="s1"), await browser.offer(session_id="s2")

    assert (taken.status, taken.detail) == (503, "Session s1 already exists")
    assert (full.status, full.detail) == (503, "Max WebRTC sessions (1) reached")


async def test_offer_before_the_pipeline_is_loaded_is_refused(
    backend: StreamBackend, browser: Browser
) -> None:
    backend.host.loaded = None

    answer = await browser.offer()

    assert (answer.status, answer.detail) == (503, "Stream service is not running")


async def test_offer_of_a_browser_that_goes_away_leaves_nothing(backend: StreamBackend) -> None:
    backend.host.creating = asyncio.Event()
    stub = rest_stream_service_pb2_grpc.RestStreamServiceStub(backend.channel)
    data = json.dumps(OFFER | {"session_id": "s1"}).encode()
    call = stub.OfferSession(pb.OfferSessionRequest(body=HttpBody(data=data)))
    await backend.host.begun("create")
    life = backend.sessions._lives["s1"]

    call.cancel()
    await asyncio.wait([life._story])
    backend.host.creating.set()
    await asyncio.wait_for(life.ended(), 5)

    assert (backend.host.closed, backend.connect.offers) == (["s1"], [])


async def test_connection_is_closed_once(backend: StreamBackend, browser: Browser) -> None:
    peer = FakePeer()
    backend.connect._peers.append(peer)
    await browser.offer(session_id="s1")

    first, second = await browser.hang_up("s1"), await browser.hang_up("s1")

    assert (first.status, first.json) == (200, {"session_id": "s1", "status": "closed"})
    assert_is(ClosedSession, first.json)
    assert (second.status, second.json) == (404, {"detail": "WebRTC session s1 not found"})
    assert (peer.is_closed, backend.host.closed) == (True, ["s1"])


async def test_session_over_grpc_has_no_connection_to_close(
    backend: StreamBackend, browser: Browser
) -> None:
    async with backend.interact(opening("s1")) as talk:
        await talk.read()

        refused, closed = await browser.hang_up("s1"), await browser.close("s1")
        await talk.rest()

    assert (refused.status, refused.detail) == (404, "WebRTC session s1 not found")
    assert (closed.status, closed.json) == (200, {"session_id": "s1", "status": "closed"})


async def test_closing_an_unknown_session_of_a_pushing_pipeline_is_refused(
    pushing: StreamBackend,
) -> None:
    browser = Browser(pushing)
    await browser.offer(session_id="s1")

    first, second = await browser.close("s1"), await browser.close("s1")

    assert (first.status, first.json) == (200, {"session_id": "s1", "status": "closed"})
    assert (second.status, second.json) == (404, {"detail": "Session s1 not found"})


async def test_closing_an_unknown_session_where_both_speak_succeeds(
    backend: StreamBackend, browser: Browser
) -> None:
    answer = await browser.close("nobody")

    assert (answer.status, answer.json) == (200, {"session_id": "nobody", "status": "closed"})
    assert not backend.host.closed


async def test_closing_while_nothing_is_loaded_is_refused(
    backend: StreamBackend, browser: Browser
) -> None:
    backend.host.loaded = None

    answer = await browser.close("s1")

    assert (answer.status, answer.detail) == (503, "Stream service is not running")


async def test_status_is_that_of_an_open_session_or_unknown(
    backend: StreamBackend, browser: Browser
) -> None:
    await browser.offer(session_id="s1")

    known, unknown = await browser.status("s1"), await browser.status("s2")
    await browser.close("s1")
    ended = await browser.status("s1")

    assert known.json == {"session_id": "s1", "status": "active", "stream_mode": "bidirectional"}
    assert (unknown.status, unknown.json) == (200, {"session_id": "s2", "status": "unknown"})
    assert ended.json["status"] == "unknown"
    for each in (known, unknown):
        assert_is(SessionStatus, each.json)


async def test_what_the_service_says_of_itself_is_as_documented(
    backend: StreamBackend, browser: Browser
) -> None:
    await browser.offer(session_id="s1")

    for method, request, model in (
        ("GetHealth", system_pb.GetHealthRequest(), StreamHealth),
        ("GetReadiness", system_pb.GetReadinessRequest(), StreamHealth),
        ("GetStatus", system_pb.GetStatusRequest(), StreamStatus),
        ("GetMetadata", system_pb.GetMetadataRequest(), StreamMetadata),
    ):
        assert_is(model, (await browser.system(method, request)).json)
