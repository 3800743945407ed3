"""Two callers of one service, and every question that one could ask about the other's things."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import grpc
import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.fakes.service import PATIENCE_SECONDS, Service

JSON = "application/json"
VOLATILE = ("connection", "date", "openai-poll-after-ms", "x-request-id")


@dataclass(frozen=True, kw_only=True)
class Things:
    """What somebody has, by the names under which it can be asked for."""

    image: str
    image_path: str
    image_id: str
    film: str
    film_path: str
    running: str
    upload: str
    request_id: str
    wan: str
    wan_file: str
    generated: str
    generated_file: str

    def hidden_in(self, text: bytes) -> bytes:
        """Returns a text with what is named instead of the names."""
        for name, value in self._longest_first():
            text = text.replace(value.encode(), f"<{name}>".encode())
        return text

    def shown_in(self, text: bytes) -> set[str]:
        """Returns which of these a text names."""
        return {name for name, value in self._longest_first() if value.encode() in text}

    def _longest_first(self) -> list[tuple[str, str]]:
        names = [(each.name, str(getattr(self, each.name))) for each in fields(self)]
        return sorted(names, key=lambda each: -len(each[1]))


@dataclass(frozen=True)
class Row:
    """A question about somebody's things, or about nobody's.

    Attributes:
        ask: The request: fields of a message, of several messages, or arguments for `httpx`.
        owner_learns: Whether the owner is told more than strangers, and nothing is changed by it.
        is_public: Whether it takes a name alone, and no key.
    """

    ask: Callable[[Things], Any] = lambda _: {}
    owner_learns: bool = False
    is_public: bool = False


class Caller:
    """Somebody with a key, over gRPC and REST."""

    def __init__(self, service: Service, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._channel = grpc.insecure_channel(service.target)
        self._http = service.http()
        self._http.headers.update(dict(self._metadata))

    def close(self) -> None:
        """Ends the connections."""
        self._channel.close()
        self._http.close()

    def call(self, method: MethodDescriptor, asked: Any) -> bytes:
        """Calls a method, and returns its first answer or its error, as it came."""
        name = f"/{method.containing_service.full_name}/{method.name}"
        ways = {
            (False, False): self._channel.unary_unary,
            (False, True): self._channel.unary_stream,
            (True, False): self._channel.stream_unary,
            (True, True): self._channel.stream_stream,
        }
        invoke: Any = ways[method.client_streaming, method.server_streaming](
            name,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda data: data,
        )
        requests = [
            _message(method, each) for each in (asked if isinstance(asked, list) else [asked])
        ]
        request = iter(requests) if method.client_streaming else requests[0]
        try:
            answer = invoke(request, metadata=self._metadata, timeout=PATIENCE_SECONDS)
            return _first(answer) if method.server_streaming else answer
        except grpc.RpcError as error:
            return _told(error)

    def services(self) -> set[str]:
        """Returns the names of the services that the server says it has."""
        stub = reflection_pb2_grpc.ServerReflectionStub(self._channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answers = stub.ServerReflectionInfo(asked, metadata=self._metadata)
        return {each.name for each in next(answers).list_services_response.service}

    def send(self, verb: str, asked: Mapping[str, Any]) -> bytes:
        """Sends a request, and returns head and body of the answer, of a stream its beginning."""
        with self._http.stream(verb, **asked) as answer:
            is_endless = answer.headers.get("content-type") == "text/event-stream"
            body = next(answer.iter_bytes()) if is_endless else answer.read()
            headers = {k: v for k, v in answer.headers.items() if k not in VOLATILE}
        return json.dumps([answer.status_code, headers]).encode() + b"\n" + body


def body(value: Any) -> dict[str, Any]:
    """Returns fields of a message that carries JSON."""
    return {"body": {"contentType": JSON, "data": _base64(json.dumps(value).encode())}}


def form(**asked: Any) -> list[dict[str, Any]]:
    """Returns fields of the messages of an uploaded form."""
    request = httpx.Request("POST", "http://s", **asked)
    content_type = request.headers["content-type"]
    return [{"body": {"contentType": content_type, "data": _base64(request.read())}}]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _message(method: MethodDescriptor, asked: Any) -> Message:
    kind = GetMessageClass(method.input_type)
    return json_format.ParseDict(asked, kind())


def _first(answers: Any) -> bytes:
    try:
        return next(answers, b"")  # type: ignore[no-any-return]
    finally:
        answers.cancel()


def _told(error: Any) -> bytes:
    metadata = sorted((k, str(v)) for k, v in error.trailing_metadata() or () if k not in VOLATILE)
    return json.dumps([error.code().name, error.details(), metadata]).encode()
