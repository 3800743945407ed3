"""What the fields of a form stand for: media by what they really are, texts by declared types."""

import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.errors import InputRejected, InvalidRequest
from telefuser_grpc.server.rest.bodies import MAX_DIGITS, Malformed, detail, json_value
from telefuser_grpc.server.rest.forms import FILE_FIELDS, Form, FormFile

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
SWITCHES: Mapping[str, bool] = {
    "true": True,
    "false": False,
    "1": True,
    "0": False,
    "on": True,
    "off": False,
    "yes": True,
    "no": False,
}


def form_fields(
    form: Form, contract: PipelineContract, *, model_fields: Container[str]
) -> dict[str, Any]:
    """Returns the task fields that a form gives; those of the model stay texts for it to read.

    Raises:
        Malformed: An input is given as a file and as a text.
        InputRejected: A file is nothing that its field takes.
    """
    media = _media(form)
    texts = {name: [each for each in values if each] for name, values in form.texts.items()}
    given = {name: values for name, values in texts.items() if values}
    if doubled := [name for name in media if name in given]:
        raise Malformed([_doubled(name) for name in doubled])
    plain = {name: values[0] if len(values) == 1 else values for name, values in given.items()}
    parameters = _parameters(contract, {**plain, **media})
    return media | {
        name: plain[name] if name in model_fields else read_texts(values, parameters.get(name))
        for name, values in given.items()
    }


def contents(form: Form) -> dict[str, str]:
    """Returns the checksums of a form's files by the fields that they have become."""
    return {
        _field(name, file): f"sha256:{file.upload.sha256}"
        for name, files in form.files.items()
        for file in files
    }


def _media(form: Form) -> dict[str, str]:
    media: dict[str, str] = {}
    for name, (file,) in form.files.items():
        field = _field(name, file)
        if field in media:
            raise Malformed([_doubled(field)])
        media[field] = f"upload:{file.upload.id}"
    return media


def _field(name: str, file: FormFile) -> str:
    """Returns the task field of a file. Raises InputRejected for a video in place of an image."""
    if name == "first_image_file" and _is_video(file):
        return "ref_video_path"
    if name == "last_image_file" and _is_video(file):
        raise InputRejected(name, f"{name} must be an image upload")
    return FILE_FIELDS[name]


def _is_video(file: FormFile) -> bool:
    """The content decides, and what its sender says of it only where the content is neither."""
    family = file.upload.facts.content_type.partition("/")[0]
    if family in ("video", "image"):
        return family == "video"
    suffix = PurePosixPath(file.filename.lower()).suffix
    return file.content_type.startswith("video/") or suffix in VIDEO_SUFFIXES


def _doubled(field: str) -> dict[str, Any]:
    return detail(
        ["body", field], "is given more than once; send one file or one text", "duplicate"
    )


def _parameters(contract: PipelineContract, fields: Mapping[str, Any]) -> Mapping[str, Parameter]:
    """Returns what the contract declares for the task that is asked for, if there is such a one."""
    kind = str(fields.get("task", "")).strip().lower()
    try:
        return contract.task(kind or contract.infer_kind(fields)).parameters
    except InvalidRequest:  # the admission says so, after what is wrong with the form itself
        return {}


def read_texts(values: Sequence[str], parameter: Parameter | None) -> Any:
    """Reads the texts of one field by its declared type; a text that is none of it stays."""
    if parameter is not None and parameter.type == "array":
        return _array(values)
    if len(values) > 1:
        return [read_texts([each], parameter) for each in values]
    text = values[0]
    match parameter.type if parameter else "":
        case "string":
            return text
        case "integer":
            return next(_integers(text), text)
        case "number":
            return next(_numbers(text), text)
        case "boolean":
            return SWITCHES.get(text.strip().lower(), text)
        case "object":
            value = _json(text)
            return value if isinstance(value, dict) else text
    return _guess(text)


def _array(values: Sequence[str]) -> list[Any]:
    if len(values) == 1 and isinstance(value := _json(values[0]), list):
        return value
    return [_guess(each) for each in values]


def _guess(text: str) -> Any:
    if (word := text.strip().lower()) in WORDS:
        return WORDS[word]
    return next(_numbers(text), _json(text))


def _numbers(text: str) -> Iterator[int | float]:
    yield from _integers(text)
    if _matches(NUMBER, text) and math.isfinite(number := float(text)):
        yield number


def _integers(text: str) -> Iterator[int]:
    if _matches(INTEGER, text):
        yield int(text)


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= MAX_DIGITS and pattern.fullmatch(text.strip()) is not None


def _json(text: str) -> Any:
    """Reads JSON, or returns the text."""
    try:
        return json_value(text)
    except (ValueError, RecursionError, Malformed):
        return text
