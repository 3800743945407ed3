"""A REST service that answers as it is told and remembers what it was asked."""

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Answer:
    """What a request is answered with; `cut` ends the connection before the last bytes."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class File:
    """A file of a form."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str | File]:
        """The fields and files of a multipart body."""
        kind, _, boundary = self.headers["content-type"].partition("; boundary=")
        assert kind == "multipart/form-data"
        opening, *parts, closing = self.body.split(f"--{boundary}".encode())
        assert (opening, closing) == (b"", b"--\r\n")
        return dict(map(_read_part, parts))


class HttpService:
    """Serves on a free port of the loopback interface.

    Attributes:
        answers: What `METHOD /path` is answered with, in turn; the last stays. Nothing is a 404.
        requests: Every request received.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.requests: list[Received] = []

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Received) -> Answer:
        """Returns what is due for a request."""
        self.requests.append(request)
        due = self.answers[f"{request.method} {request.path}"]
        if not due:
            return Answer({"detail": "Not Found"}, status=404)
        return due.pop(0) if len(due) > 1 else due[0]

    def received(self, request: str) -> list[Received]:
        """Returns the requests to `METHOD /path`."""
        return [each for each in self.requests if f"{each.method} {each.path}" == request]


def _handler_of(service: HttpService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _respond(self) -> None:
            target = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = service.answer(
                Received(self.command, target.path, dict(parse_qsl(target.query)), headers, body)
            )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content[: len(answer.content) - answer.cut])
            self.close_connection = bool(answer.cut)

        do_GET = do_POST = do_DELETE = _respond

    return Handler


def _read_part(part: bytes) -> tuple[str, str | File]:
    head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    _, *pairs = lines["Content-Disposition"].split("; ")
    named = {name: text.strip('"') for name, text in (pair.split("=", 1) for pair in pairs)}
    content = content.removesuffix(b"\r\n")
    if "filename" in named:
        return named["name"], File(named["filename"], lines["Content-Type"], content)
    return named["name"], content.decode()
