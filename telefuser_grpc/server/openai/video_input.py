"""Reads what asks for a video: a JSON object or a form, by the content type of its first piece."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server.openai.json_bodies import JSON, again, is_json, whole
from telefuser_grpc.server.openai.video_bodies import VideoBody, parameters
from telefuser_grpc.server.rest.bodies import Malformed, detail, parse, validate
from telefuser_grpc.server.rest.form_fields import read_texts
from telefuser_grpc.server.rest.forms import Form, FormFile, Takes, received

MAX_NESTING = 8

Body = TypeVar("Body", bound=VideoBody)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Body]):
    """A body, and the file that has come with it."""

    body: Body
    file: FormFile | None = None


@asynccontextmanager
async def asked(
    model: type[Body],
    bodies: AsyncIterator[HttpBody],
    *,
    file: str,
    uploads: Uploads,
    contract: PipelineContract,
    max_json_bytes: int,
) -> AsyncIterator[Asked[Body]]:
    """Reads a body. Its file is there until the block is left.

    Args:
        file: The field that may be a file.
        contract: Says how the texts of a form are to be read.

    Raises:
        Malformed, UnsupportedContentType, InputRejected, UploadTooLarge, StorageFull
    """
    first = await anext(bodies, HttpBody())
    if is_json(first):
        yield Asked(parse(model, await whole(first, bodies, max_json_bytes)))
        return
    takes = Takes(files={file: 1}, or_texts=frozenset({file}), otherwise=(JSON,))
    async with received(again(first, bodies), uploads, takes) as form:
        (given,) = form.files.get(file, (None,))
        fields = _fields(form, contract, model)
        if given and file in fields:
            raise more_than_once(file)
        yield Asked(validate(model, fields), given)


def more_than_once(field: str) -> Malformed:
    """Returns what is told of a reference that is given in several ways."""
    why = "is given more than once; send one file or one address"
    return Malformed([detail(["body", field], why, "duplicate")])


def _fields(form: Form, contract: PipelineContract, model: type[VideoBody]) -> dict[str, Any]:
    """Returns the texts of a form by name, those with brackets nested as the SDKs mean them."""
    declared = parameters(contract)
    fields: dict[str, Any] = {}
    for name, texts in form.texts.items():
        values = [each for each in texts if each]
        stem, path = _path(name)
        if not values or (path and stem not in declared and stem not in model.model_fields):
            continue
        if stem in model.model_fields:
            value: Any = values[0] if len(values) == 1 else values
        else:
            value = read_texts(values, None if path else declared.get(stem))
        _put(fields, stem, path, value)
    return fields


def _path(name: str) -> tuple[str, Sequence[str]]:
    """Cuts `a[b][]` into `a` and its keys; what is not written so is one name."""
    stem, bracket, rest = name.partition("[")
    if not (stem and bracket and rest.endswith("]")):
        return name, ()
    return stem, rest.removesuffix("]").split("][", MAX_NESTING)


def _put(fields: dict[str, Any], stem: str, path: Sequence[str], value: Any) -> None:
    """Puts a value where its keys lead; one that leads through another value replaces it."""
    keys = [stem, *(key for key in path if key)]
    is_list = bool(path) and not path[-1]
    place = fields
    for key in keys[:-1]:
        inner = place.get(key)
        place[key] = place = dict(inner) if isinstance(inner, Mapping) else {}
    place[keys[-1]] = value if not is_list or isinstance(value, list) else [value]
