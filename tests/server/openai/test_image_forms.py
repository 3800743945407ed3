"""Images from images: what a form may hold, and that nothing is left of a refusal."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.openai.v1 import image_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from tests.fakes.media_files import mp4, png_bomb, still, truncated
from tests.server.backend import HANGS, LIMITS, MAX_UPLOAD_BYTES, Backend
from tests.server.openai.images_face import CONTRACT, DRAWS, PNG, Face, form, picture
from tests.server.rest.gateway import Answer, transcoded

URL = f"data:image/png;base64,{base64.b64encode(still()).decode()}"
PROMPT = {"prompt": "in blue"}
INNER = "http://127.0.0.1/a.png"


@pytest.fixture
def face(loading: Backend) -> Face:
    loading.open(CONTRACT)
    loading.pool.script = DRAWS
    return Face(loading)


def what_is_left(backend: Backend) -> list[Path]:
    return [path for path in backend.root.rglob("*") if path.is_file()]


def error_of(answer: Answer) -> tuple[int, Any, Any]:
    error = answer.json["error"]
    return answer.status, error["param"], error["code"]


async def test_image_of_a_form_is_changed(face: Face) -> None:
    answer = await face.edit(PROMPT | {"n": "2", "seed": "0"}, {"image": PNG})

    tasks = await face.tasks()
    assert answer.status == 200, answer.body
    assert len(answer.json["data"]) == 2
    assert [(task.kind, task.fields["seed"]) for task in tasks] == [("i2i", 0), ("i2i", 1)]
    for task in tasks:
        (run,) = face.backend.pool.runs_of(task.id)
        assert Path(run.job.inputs["first_image_path"]).read_bytes() == PNG[1]
    assert not list((face.backend.root / "uploads").glob("*"))


async def test_every_documented_field_of_an_edit_is_taken(face: Face) -> None:
    texts = {"model": "m", "n": "1", "size": "512x256", "seed": "7", "negative_prompt": "red"}
    texts |= {"response_format": "b64_json", "input_fidelity": "high", "moderation": "low"}
    texts |= {"user": "me", "safety_identifier": "x", "complexity": "low", "svg[model]": "m"}

    answer = await face.edit(PROMPT | texts, {"image": PNG, "mask": PNG})

    (task,) = await face.tasks()
    told = {"resolution": "512x256", "seed": 7, "negative_prompt": "red", "model": "m"}
    assert answer.status == 200, answer.body
    assert told.items() <= task.fields.items()
    assert task.inputs.keys() == {"first_image_path", "mask"}
    assert (answer.json["data"][0]["url"], answer.json["inference_time_s"]) == (None, 1.0)


async def test_size_and_seed_that_an_edit_does_not_name_are_the_contracts(face: Face) -> None:
    declared = {"seed": {"type": "integer", "default": 5}, "resolution": {"default": "640x640"}}
    task_contracts = {"i2i": {"parameters": declared}}
    contract = {"supported_tasks": ["i2i"], "task_contracts": task_contracts}
    face.backend.admission.open(PipelineContract.parse(contract, stem="painter"))

    await face.edit(PROMPT, {"image": PNG})

    (task,) = await face.tasks()
    assert (task.fields["seed"], task.fields["resolution"]) == (5, "640x640")


async def test_edit_without_an_image_says_how_to_give_one(face: Face) -> None:
    answer = await face.edit(PROMPT)

    said = "Either 'image' file or 'image_url' must be provided"
    assert answer.detail == [{"loc": ["body", "image"], "msg": said, "type": "missing"}]


@pytest.mark.parametrize("name", ["image[]", "image"])
async def test_several_images_reach_the_pipeline_in_their_order(face: Face, name: str) -> None:
    files = [still(width=width) for width in (3, 5, 7)]

    await face.edit(PROMPT, [(name, ("a.png", file, "image/png")) for file in files])

    (task,) = await face.tasks()
    (run,) = face.backend.pool.runs_of(task.id)
    names = ("first_image_path", "image_2", "image_3")
    assert [Path(run.job.inputs[each]).read_bytes() for each in names] == files


async def test_mask_reaches_the_pipeline_as_a_path(face: Face) -> None:
    mask = still(width=2)

    await face.edit(PROMPT, {"image": PNG, "mask": ("m.png", mask, "image/png")})

    (task,) = await face.tasks()
    (run,) = face.backend.pool.runs_of(task.id)
    assert Path(run.job.inputs["mask"]).read_bytes() == mask


async def test_image_may_be_an_address(face: Face) -> None:
    url = f"data:image/png;base64,{base64.b64encode(still()).decode()}"

    answer = await face.edit(PROMPT | {"image_url": url})

    assert answer.status == 200, answer.body
    assert (await face.tasks())[0].inputs.keys() == {"first_image_path"}


@pytest.mark.parametrize(
    ("named", "inputs"),
    [
        ({"image": URL}, {"first_image_path"}),
        ({"image": [URL, URL]}, {"first_image_path", "image_2"}),
        ({"image_url": URL}, {"first_image_path"}),
        ({"images": [{"image_url": URL}, URL]}, {"first_image_path", "image_2"}),
        (
            {"images": [{"image_url": URL}], "mask": {"image_url": URL}},
            {"first_image_path", "mask"},
        ),
        ({"images": [URL], "mask": URL, "image": None}, {"first_image_path", "mask"}),
    ],
)
async def test_images_of_an_edit_may_be_named_in_json(
    face: Face, named: Any, inputs: set[str]
) -> None:
    answer = await face.edit_object(PROMPT | named | {"n": 2, "quality": "low"})

    tasks = await face.tasks()
    assert answer.status == 200, answer.body
    assert len(answer.json["data"]) == len(tasks) == 2
    assert all(task.inputs.keys() == inputs for task in tasks)
    assert all(task.kind == "i2i" for task in tasks)


async def test_image_of_an_edit_in_json_may_be_an_upload(face: Face) -> None:
    async with face.backend.uploads.receive() as sink:
        await sink.write(still())
        upload = await sink.finish()

    answer = await face.edit_object(PROMPT | {"images": [{"file_id": upload.id}]})

    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        (PROMPT, 422, "images", "missing_required_parameter"),
        (PROMPT | {"images": []}, 422, "images", "missing_required_parameter"),
        ({"images": [URL]}, 422, "prompt", "missing_required_parameter"),
        (PROMPT | {"images": [{"url": URL}]}, 422, "images", "invalid_value"),
        (PROMPT | {"image": 7}, 422, "image", "invalid_value"),
        (PROMPT | {"image": ""}, 422, "image", "invalid_value"),
        (PROMPT | {"image": URL, "mask": ["x"]}, 422, "mask", "invalid_value"),
        (PROMPT | {"images": [URL] * 17}, 422, "images", "invalid_value"),
        (PROMPT | {"images": [URL] * 15, "image": [URL] * 2}, 422, "images", "invalid_value"),
        (PROMPT | {"image": [URL] * 17}, 422, "image", "invalid_value"),
        (PROMPT | {"image": INNER}, 400, "image", "input_rejected"),
        (PROMPT | {"image": [URL, INNER]}, 400, "image", "input_rejected"),
        (PROMPT | {"images": [INNER]}, 400, "images", "input_rejected"),
        (PROMPT | {"images": [URL, "data:image/png;base64,AAAA"]}, 400, "images", "input_rejected"),
        (PROMPT | {"image_url": INNER}, 400, "image_url", "input_rejected"),
        (PROMPT | {"images": [URL], "image_url": INNER}, 400, "image_url", "input_rejected"),
        (PROMPT | {"images": [URL], "mask": INNER}, 400, "mask", "input_rejected"),
        (PROMPT | {"image": "/etc/passwd"}, 400, "image", "input_rejected"),
        (PROMPT | {"images": [{"file_id": "none"}]}, 404, None, "upload_not_found"),
        ([], 422, None, "model_attributes_type"),
    ],
)
async def test_wrong_object_is_refused_and_leaves_nothing(
    face: Face, body: Any, status: int, param: str | None, code: str
) -> None:
    answer = await face.edit_object(body)

    assert error_of(answer) == (status, param, code)
    if param:
        assert answer.json["detail"][0]["loc"] == ["body", param]
    assert await face.tasks() == []
    assert what_is_left(face.backend) == []


async def test_object_over_the_limit_is_413(face: Face) -> None:
    answer = await face.edit_object(PROMPT | {"image": "x" * 5 * 2**20})

    assert (answer.status, answer.json["error"]["code"]) == (413, "upload_too_large")


async def test_image_is_varied_without_a_prompt(face: Face) -> None:
    answer = await face.vary({"n": "1", "size": "512x512"}, {"image": PNG})

    (task,) = await face.tasks()
    assert answer.status == 200, answer.body
    assert (task.kind, task.fields["resolution"]) == ("i2i", "512x512")
    assert task.fields["prompt"]
    assert answer.json["data"][0]["revised_prompt"] is None


async def test_texts_are_read_by_their_types(face: Face) -> None:
    declared = {"parameters": {"steps": {"type": "integer"}, "note": {"type": "string"}}}
    contract = {"supported_tasks": ["i2i"], "task_contracts": {"i2i": declared}}
    face.backend.admission.open(PipelineContract.parse(contract, stem="painter"))
    texts = {"steps": "7", "note": "7", "response_format": "b64_json", "stream": "false"}

    answer = await face.edit(PROMPT | texts | {"output_compression": "", "n": ""}, {"image": PNG})

    (task,) = await face.tasks()
    assert (task.fields["steps"], task.fields["note"]) == (7, "7")
    assert picture(answer.json["data"][0]).size == (16, 12)


async def test_pipeline_that_edits_without_saying_what_it_reads_is_given_the_image(
    face: Face,
) -> None:
    face.backend.admission.open(PipelineContract.parse({"supported_tasks": ["edit"]}, stem="e"))

    await face.edit(PROMPT, {"image": PNG})

    (task,) = await face.tasks()
    assert (task.kind, set(task.inputs)) == ("edit", {"first_image_path"})


HUGE = still(width=8000, height=7500)


@pytest.mark.parametrize(
    ("data", "files", "status", "param", "code"),
    [
        ({}, {"image": PNG}, 422, "prompt", "missing_required_parameter"),
        (PROMPT, None, 422, "image", "missing_required_parameter"),
        (PROMPT | {"image": "x"}, {"mask": PNG}, 422, "image", "invalid_value"),
        (PROMPT | {"image_url": "http://x.y/z.png"}, {"image": PNG}, 422, "image_url", None),
        (PROMPT, {"photo": PNG}, 422, "photo", None),
        (PROMPT, {"image": PNG, "markup": PNG}, 422, "markup", None),
        (PROMPT, [("mask", PNG)] * 2, 422, "mask", None),
        (PROMPT, [("image[]", PNG)] * 17, 422, "image[]", None),
        (PROMPT, [("image[]", PNG)] * 16 + [("image", PNG)], 422, "image", None),
        (PROMPT, {"image": ("a.png", b"a text", "image/png")}, 400, "image", "input_rejected"),
        (PROMPT, {"image": ("a.png", b"", "image/png")}, 400, "image", "input_rejected"),
        (PROMPT, {"image": truncated(still(width=99))}, 400, "image", "input_rejected"),
        (PROMPT, {"image": png_bomb()}, 400, "image", "input_rejected"),
        (PROMPT, {"image": bytes(MAX_UPLOAD_BYTES + 1)}, 413, "image", "upload_too_large"),
        (PROMPT, {"image": mp4()}, 400, "image", "input_rejected"),
        (PROMPT, {"image": PNG, "mask": mp4()}, 400, "mask", "input_rejected"),
        (PROMPT | {"image_url": INNER}, None, 400, "image_url", "input_rejected"),
        (PROMPT | {"n": "11"}, {"image": PNG}, 422, "n", "invalid_value"),
        (PROMPT | {"size": "1x0"}, {"image": PNG}, 422, "size", "invalid_value"),
        ({"prompt": "x" * 100_000}, {"image": PNG}, 422, "prompt", "invalid_value"),
    ],
)
async def test_wrong_form_is_refused_and_leaves_nothing(
    face: Face, data: Any, files: Any, status: int, param: str, code: str | None
) -> None:
    if isinstance(files, dict):
        files = {
            name: each if isinstance(each, tuple) else ("a.png", each, "image/png")
            for name, each in files.items()
        }

    answer = await face.edit(data, files)

    assert error_of(answer) == (status, param, code or "invalid_value")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json["detail"]
    assert await face.tasks() == []
    assert what_is_left(face.backend) == []


async def test_image_of_more_pixels_than_a_pipeline_should_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.server.backend.MAX_UPLOAD_BYTES", 10 * 2**20)
    async with Backend(tmp_path) as backend:
        backend.open(CONTRACT)
        answer = await Face(backend).edit(PROMPT, {"image": ("a.png", HUGE, "image/png")})

    assert error_of(answer) == (400, "image", "input_rejected")
    assert "8000x7500" in answer.json["error"]["message"]


async def test_variation_without_an_image_is_422(face: Face) -> None:
    assert error_of(await face.vary({"n": "1"})) == (422, "image", "missing_required_parameter")


async def test_body_that_is_no_form_is_415(face: Face) -> None:
    async def sent() -> AsyncIterator[pb.CreateImageEditRequest]:
        yield pb.CreateImageEditRequest(body=HttpBody(content_type="text/plain", data=b"x"))

    call = face.images.CreateImageEdit(sent(), metadata=transcoded())

    assert (await call.code()).name == "INVALID_ARGUMENT"
    told = dict(await call.trailing_metadata())
    assert told["x-http-status"] == "415"
    assert json.loads(told["x-error-json"])["detail"] == (
        "Content-Type is 'text/plain'; send multipart/form-data or "
        "application/x-www-form-urlencoded or application/json"
    )


async def test_full_queue_refuses_before_the_form_is_read(face: Face) -> None:
    face.backend.pool.script = HANGS
    for _ in range(LIMITS.queue):
        await face.backend.create(kind="t2i")

    answer = await face.edit(PROMPT, {"image": PNG})

    assert error_of(answer) == (503, None, "queue_full")


async def test_idempotency_key_knows_a_form_by_its_content(face: Face) -> None:
    key = {"idempotency-key": "k"}
    first = await face.edit(PROMPT, {"image": PNG}, **key)
    again = await face.edit(PROMPT, {"image": PNG}, **key)
    other = await face.edit(PROMPT, {"image": ("a.png", still(width=2), "image/png")}, **key)

    assert first.json == again.json
    assert other.status == 409


async def test_silent_retry_of_a_form_gets_the_first_task(face: Face) -> None:
    counts = [{"x-stainless-retry-count": str(count)} for count in range(2)]
    first, again = [await face.edit(PROMPT, {"image": PNG}, **each) for each in counts]

    assert first.json == again.json
    assert len(await face.tasks()) == 1


async def test_form_that_breaks_off_leaves_nothing(face: Face) -> None:
    (whole,) = form(pb.CreateImageEditRequest, PROMPT, {"image": PNG})

    async def sent() -> AsyncIterator[pb.CreateImageEditRequest]:
        yield replaced(whole, whole.body.data[:-20])

    call = face.images.CreateImageEdit(sent(), metadata=transcoded())

    assert (await call.code()).name == "INVALID_ARGUMENT"
    assert what_is_left(face.backend) == []


def replaced(request: pb.CreateImageEditRequest, data: bytes) -> pb.CreateImageEditRequest:
    body = HttpBody(content_type=request.body.content_type, data=data)
    return pb.CreateImageEditRequest(body=body)
