"""Receives forms: texts into memory, within limits, and files straight into uploads."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from google.api.httpbody_pb2 import HttpBody
from python_multipart.multipart import parse_options_header

from telefuser_grpc.domain.artifact import Upload
from telefuser_grpc.errors import UnsupportedContentType, UploadTooLarge
from telefuser_grpc.scheduler.ports import Uploads, UploadSink
from telefuser_grpc.server.rest.bodies import Malformed, detail
from telefuser_grpc.server.rest.form_parts import (
    MAX_PARTS,
    PartData,
    PartEnd,
    PartEvent,
    PartReader,
    PartStart,
    malformed_form,
)

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_TEXT_BYTES = 4 * 2**20  # of all texts together
TEXTS_BOUND = "the texts of a form may have together; send media as files"
FILE_FIELDS: Mapping[str, str] = {
    "first_image_file": "first_image_path",
    "last_image_file": "last_image_path",
    "ref_video_file": "ref_video_path",
    "pose_video_file": "pose_video_path",
    "face_video_file": "face_video_path",
    "mask_video_file": "mask_video_path",
    "audio_file": "audio_path",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """What files a form may have.

    Attributes:
        files: How many of each field.
        or_texts: Those of the fields that may be given as a text instead.
        otherwise: Content types beside those of forms that the path takes.
    """

    files: Mapping[str, int]
    or_texts: frozenset[str] = frozenset()
    otherwise: tuple[str, ...] = ()

    @property
    def content_types(self) -> tuple[str, ...]:
        """What a body may be."""
        return (MULTIPART, URLENCODED, *self.otherwise)

    def check_text(self, name: str) -> None:
        """Refuses a text where only a file will do. Raises Malformed."""
        if name in self.files and name not in self.or_texts:
            why = f"must be a file; with curl, write -F '{name}=@<path>'"
            raise Malformed([detail(["body", name], why, "file_type")])

    def check_file(self, name: str, given: int) -> None:
        """Refuses a file that is one too many. Raises Malformed."""
        most = self.files.get(name, 0)
        if given < most:
            return
        if most == 0:
            why = f"takes no file; files are {', '.join(self.files)}"
            raise Malformed([detail(["body", name], why, "extra_forbidden")])
        many = f"has more than {most} files; send fewer"
        why = "is given twice; send one file" if most == 1 else many
        raise Malformed([detail(["body", name], why, "duplicate")])


TASK_FILES = Takes(files=dict.fromkeys(FILE_FIELDS, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormFile:
    """A file of a form: the upload that it has become, and what its sender called it."""

    upload: Upload
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A whole form: the texts and the files of each field, in their order."""

    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Sequence[FormFile]] = field(default_factory=dict)


@asynccontextmanager
async def received(
    bodies: AsyncIterator[HttpBody], uploads: Uploads, takes: Takes = TASK_FILES
) -> AsyncIterator[Form]:
    """Reads a form. Its uploads are there until the block is left, however it is left.

    Raises:
        Malformed: It is no form, or has a file or a text that nobody knows.
        UnsupportedContentType, InputRejected, UploadTooLarge, StorageFull
    """
    async with AsyncExitStack() as stack:
        first = await anext(bodies, HttpBody())
        pieces = _pieces(first, bodies)
        if not first.content_type.isascii():
            raise UnsupportedContentType(first.content_type, takes.content_types)
        kind, options = _content_type(first.content_type)
        match kind:
            case "multipart/form-data":
                yield await _read_multipart(pieces, options, _Parts(uploads, takes, stack))
            case "application/x-www-form-urlencoded":
                yield await _read_urlencoded(pieces, takes)
            case given:
                raise UnsupportedContentType(given, takes.content_types)


def _content_type(value: str) -> tuple[str, Mapping[bytes, bytes]]:
    kind, options = parse_options_header(value)
    return kind.decode(), options


async def _pieces(first: HttpBody, rest: AsyncIterator[HttpBody]) -> AsyncIterator[bytes]:
    yield first.data
    async for body in rest:
        yield body.data


async def _read_multipart(
    pieces: AsyncIterator[bytes], options: Mapping[bytes, bytes], parts: "_Parts"
) -> Form:
    boundary = options.get(b"boundary")
    if not boundary:
        raise malformed_form(
            f"its Content-Type names no boundary; write {MULTIPART}; boundary=<boundary>, or let "
            "your HTTP client write it"
        )
    reader = PartReader(boundary)
    await _take_all(pieces, reader, parts)
    reader.finish()
    return parts.form()


async def _take_all(pieces: AsyncIterator[bytes], reader: PartReader, parts: "_Parts") -> None:
    """Feeds all pieces; alone, so that the last one is not kept by what fails after it."""
    async for piece in pieces:
        for event in reader.feed(piece):
            await parts.take(event)


async def _read_urlencoded(pieces: AsyncIterator[bytes], takes: Takes) -> Form:
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > MAX_TEXT_BYTES:
            raise UploadTooLarge("form", MAX_TEXT_BYTES, bound=TEXTS_BOUND)
    if data.lstrip().startswith(b"{"):
        why = "it is JSON; send that to /v1/tasks/create with Content-Type application/json"
        raise malformed_form(why)
    texts: dict[str, list[str]] = {}
    for name, text in _pairs(bytes(data)):
        if text:
            takes.check_text(name)
        texts.setdefault(name, []).append(text)
    return Form(texts=texts)


def _pairs(data: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            data.decode(), keep_blank_values=True, max_num_fields=MAX_PARTS, errors="strict"
        )
    except UnicodeDecodeError:
        raise malformed_form("it is not UTF-8; encode names and texts so") from None
    except ValueError:
        raise malformed_form(f"it has more than {MAX_PARTS} fields; send fewer") from None


class _Parts:
    """Takes the parts of one form; the stack removes what has become of its files."""

    def __init__(self, uploads: Uploads, takes: Takes, stack: AsyncExitStack) -> None:
        self._uploads = uploads
        self._takes = takes
        self._stack = stack
        self._texts: dict[str, list[str]] = {}
        self._files: dict[str, list[FormFile]] = {}
        self._text_bytes = 0
        self._part = PartStart(name="", filename=None, content_type="")
        self._text = bytearray()
        self._sink: UploadSink | None = None

    def form(self) -> Form:
        """Returns what came."""
        return Form(texts=self._texts, files=self._files)

    async def take(self, event: PartEvent) -> None:
        """Takes what comes next."""
        match event:
            case PartStart(filename=None):
                self._part, self._text = event, bytearray()
                self._count(event.name)
            case PartStart():
                self._part, self._sink = event, None
                if event.filename:
                    self._sink = await self._open(event.name)
            case PartData(data=data) if self._part.filename is None:
                self._takes.check_text(self._part.name)
                self._text += data
                self._count(data)
            case PartData(data=data):
                self._sink = self._sink or await self._open(self._part.name)
                await self._sink.write(data)
            case PartEnd() if self._part.filename is None:
                self._keep_text()
            case PartEnd() if self._sink:
                await self._keep_file(self._sink)

    def _count(self, text: str | bytes) -> None:
        self._text_bytes += len(text)
        if self._text_bytes > MAX_TEXT_BYTES:
            raise UploadTooLarge(self._part.name, MAX_TEXT_BYTES, bound=TEXTS_BOUND)

    def _keep_text(self) -> None:
        name = self._part.name
        try:
            text = self._text.decode()
        except UnicodeDecodeError:
            why = "is not UTF-8; encode the text so"
            raise Malformed([detail(["body", name], why, "string_unicode")]) from None
        self._texts.setdefault(name, []).append(text)

    async def _open(self, name: str) -> UploadSink:
        """Opens a sink for a file; what a browser sends for no file never comes here."""
        self._takes.check_file(name, len(self._files.get(name, ())))
        return await self._stack.enter_async_context(self._uploads.receive(field=name))

    async def _keep_file(self, sink: UploadSink) -> None:
        upload = await sink.finish()
        self._stack.push_async_callback(self._uploads.discard, upload.id)
        file = FormFile(
            upload=upload,
            filename=self._part.filename or "",
            content_type=self._part.content_type,
        )
        self._files.setdefault(self._part.name, []).append(file)
