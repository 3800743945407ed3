"""Bodies with images, and the orders that they stand for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import MORE_IMAGE_FIELDS, MediaType
from telefuser_grpc.errors import InputRejected
from telefuser_grpc.server.openai.image_bodies import (
    EditBody,
    EditObject,
    ImageBody,
    VariationBody,
)
from telefuser_grpc.server.openai.image_order import ImageOrder
from telefuser_grpc.server.openai.json_bodies import JSON
from telefuser_grpc.server.rest.bodies import Malformed, detail, validate
from telefuser_grpc.server.rest.form_fields import read_texts
from telefuser_grpc.server.rest.forms import Form, FormFile, Takes

MAX_IMAGES = 16
MAX_PIXELS = 50_000_000
EDIT_FILES = Takes(files={"image": MAX_IMAGES, "image[]": MAX_IMAGES, "mask": 1}, otherwise=(JSON,))
VARIATION_FILES = Takes(files={"image": 1})
MASK = {"mask": "mask"}
NO_IMAGE = "Either 'image' file or 'image_url' must be provided"
Body = TypeVar("Body", bound=ImageBody)
Image = TypeVar("Image")


def edit_order(form: Form, contract: PipelineContract) -> ImageOrder:
    """Reads a form for `POST /v1/images/edits`. Raises Malformed, InputRejected."""
    body = _body(EditBody, form)
    files = [*form.files.get("image", ()), *form.files.get("image[]", ())]
    named: dict[str, FormFile | str] = dict(_named(files))
    if body.image_url:
        if files:
            raise _fault("image_url", "is given beside an image; send one of the two", "duplicate")
        named["first_image_path"] = body.image_url
    if not named:
        raise _fault("image", NO_IMAGE, "missing")
    for mask in form.files.get("mask", ()):
        named["mask"] = mask
    return _order(body, body.prompt, form, contract, named)


def named_edit_order(body: EditObject) -> ImageOrder:
    """Reads a JSON object for `POST /v1/images/edits`. Raises Malformed."""
    references = body.references
    if not references:
        raise _fault("images", "name at least one image", "missing")
    named = dict(_named(references, references[-1][0]))
    if body.mask:
        named["mask"] = ("mask", body.mask)
    return ImageOrder(
        body=body,
        prompt=body.prompt,
        media={field: reference for field, (_, reference) in named.items()},
        sent_as={field: sent_as for field, (sent_as, _) in named.items()},
        extras=body.model_extra or {},
    )


def variation_order(form: Form, contract: PipelineContract) -> ImageOrder:
    """Reads a form for `POST /v1/images/variations`. Raises Malformed, InputRejected."""
    body = _body(VariationBody, form)
    named = dict(_named(form.files.get("image", ())))
    if not named:
        raise _fault("image", "Field required: the image as a file", "missing")
    return _order(body, body.prompt, form, contract, named)


def _body(model: type[Body], form: Form) -> Body:
    """Reads the texts; an empty one is not given, and of several the last counts."""
    return validate(model, {name: values[-1] for name, values in form.texts.items() if values[-1]})


def _named(images: Sequence[Image], field: str = "image") -> Iterator[tuple[str, Image]]:
    fields = ("first_image_path", *MORE_IMAGE_FIELDS)
    if len(images) > len(fields):
        raise _fault(field, f"has more than {MAX_IMAGES} images", "duplicate")
    yield from zip(fields, images, strict=False)


def _order(
    body: ImageBody,
    prompt: str,
    form: Form,
    contract: PipelineContract,
    media: Mapping[str, FormFile | str],
) -> ImageOrder:
    files = {field: each for field, each in media.items() if isinstance(each, FormFile)}
    for field, file in files.items():
        _check(field, file)
    links = {field: each for field, each in media.items() if isinstance(each, str)}
    return ImageOrder(
        body=body,
        prompt=prompt,
        media=links | {field: f"upload:{each.upload.id}" for field, each in files.items()},
        sent_as=dict.fromkeys(files, "image") | dict.fromkeys(links, "image_url") | MASK,
        contents={field: f"sha256:{each.upload.sha256}" for field, each in files.items()},
        extras=_extras(body, form, contract),
    )


def _check(field: str, file: FormFile) -> None:
    facts = file.upload.facts
    name = "mask" if field == "mask" else "image"
    if not facts.content_type.startswith("image/"):
        raise InputRejected(
            name, f"is of type {facts.content_type}; send an image, such as PNG, JPEG or WebP"
        )
    if facts.width * facts.height > MAX_PIXELS:
        raise InputRejected(
            name, f"has {facts.width}x{facts.height} pixels; send at most {MAX_PIXELS} of them"
        )


def _extras(body: ImageBody, form: Form, contract: PipelineContract) -> dict[str, object]:
    declared = {
        name: each
        for task in contract.tasks.values()
        if task.media_type is MediaType.IMAGE
        for name, each in task.parameters.items()
    }
    return {
        name: read_texts(form.texts[name], declared[name])
        for name in body.model_extra or {}
        if name in declared
    }


def _fault(field: str, why: str, kind: str) -> Malformed:
    return Malformed([detail(["body", field], why, kind)])
