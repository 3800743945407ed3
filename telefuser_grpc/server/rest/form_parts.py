"""Cuts a multipart body into parts as its pieces come; nothing is kept but a part's head."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from telefuser_grpc.server.rest.bodies import Malformed, detail

MAX_PARTS = 200
MAX_HEADERS = 8  # of one part
MAX_HEADER_BYTES = 4096
BOUNDARY_REMEDY = "choose a short one, or let your HTTP client write the Content-Type"
FORM_OF_A_PART = (
    f"write each part as --<boundary>, at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes, "
    "an empty line and the content, all lines ended by CR LF"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStart:
    """A part begins; `filename` is None for a text and may be "" for a file."""

    name: str
    filename: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part."""

    data: bytes


class PartEnd:
    """The part is whole."""


PartEvent: TypeAlias = PartStart | PartData | PartEnd


class PartReader:
    """Reads one multipart body.

    Raises:
        Malformed: From any method, when the body is not what it says.
    """

    def __init__(self, boundary: bytes) -> None:
        self._events: list[PartEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._parts = 0
        self._has_ended = False
        try:
            self._parser = self._new_parser(boundary)
        except FormParserError as error:
            raise malformed_form(f"{error}; {BOUNDARY_REMEDY}") from None

    def feed(self, data: bytes) -> Sequence[PartEvent]:
        """Takes the next piece and returns what it has told."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise malformed_form(f"{error}; {FORM_OF_A_PART}") from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Ends the body."""
        if not self._has_ended:
            raise malformed_form(
                "it ends before its last boundary; send it whole, with --<boundary>-- at its end"
            )

    def _new_parser(self, boundary: bytes) -> MultipartParser:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_part_end": lambda: self._events.append(PartEnd()),
                "on_end": self._end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        parser.logger.setLevel(logging.CRITICAL)  # it warns of each fault that callers are told
        return parser

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise malformed_form(f"it has more than {MAX_PARTS} parts; send fewer fields")
        self._headers = {}

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = _text(options.get(b"name", b""))
        if kind != b"form-data" or not name:
            head = 'Content-Disposition: form-data; name="<name>"'
            raise malformed_form(f"a part has no name; write {head}")
        filename = options.get(b"filename")
        self._events.append(
            PartStart(
                name=name,
                filename=None if filename is None else _text(filename),
                content_type=_text(self._headers.get(b"content-type", b"")).strip().lower(),
            )
        )

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _end(self) -> None:
        self._has_ended = True


def malformed_form(why: str) -> Malformed:
    """Returns what is told of a body that is no form; `why` says how to mend it, too."""
    return Malformed([detail(["body"], f"Form cannot be read: {why}", "form_invalid")])


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise malformed_form("the head of a part is not UTF-8; encode names so") from None
