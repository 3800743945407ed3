"""`POST /video/submit`: what it takes, what it refuses, and what becomes of it."""

import asyncio
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import Task
from tests.fakes.media_files import mp4, noise, still
from tests.fakes.web import Web, answer, redirect
from tests.server.backend import COMPLETES, LIMITS, Backend
from tests.server.image_to_video.conftest import GIB, Gpu
from tests.server.wan.caller import PROMPT, Caller
from tests.server.wan.conftest import KeylessBackend, WanBackend

HEX = re.compile(r"[0-9a-f]{32}")


def reason(answer: Any) -> str:
    """Returns the reason of a refusal in the documented form."""
    assert answer.json.keys() == {"detail"}
    assert answer.detail.keys() == {"status", "reason"}
    assert answer.detail["status"] == "Failed"
    return str(answer.detail["reason"])


def input_picture(backend: Backend, task: Task) -> Image.Image:
    """Opens the picture that a task reads."""
    path = backend.artifacts.input_path(task.id, task.inputs["first_image_path"])
    return Image.open(io.BytesIO(Path(path).read_bytes()))


def left_behind(backend: Backend) -> list[Path]:
    return [path for path in backend.root.rglob("*") if path.is_file()]


async def test_submission_is_accepted_with_202_and_32_hex_digits(wan: Caller) -> None:
    answer = await wan.submit()

    assert answer.status == 202
    assert answer.json.keys() == {"requestId"}
    assert HEX.fullmatch(answer.json["requestId"])


async def test_admitted_task_is_told_to_whoever_removes_it_in_time(
    wan: Caller, backend: WanBackend
) -> None:
    task = await wan.submitted()

    assert backend.watched == [task.id]


async def test_fields_that_nobody_gave_have_the_documented_defaults(wan: Caller) -> None:
    fields = (await wan.submitted()).fields

    assert fields["num_frames"] == 81
    assert fields["guidance_scale"] == 3.0
    assert fields["num_inference_steps"] == 30
    assert "negative_prompt" not in fields


async def test_size_is_auto_where_none_is_given(wan: Caller) -> None:
    fields = (await wan.submitted(without="image_size")).fields

    assert (fields["width"], fields["height"]) == (832, 464)


async def test_pipeline_is_told_size_frames_and_rate_of_the_model(wan: Caller) -> None:
    fields = (await wan.submitted(num_frames=24)).fields

    assert (fields["width"], fields["height"]) == (832, 464)
    assert (fields["num_frames"], fields["fps"], fields["target_video_length"]) == (25, 16, 2)
    assert fields["resolution"] == "480p"


async def test_every_field_reaches_the_pipeline(wan: Caller) -> None:
    given = {"guidance_scale": 7.5, "infer_steps": 40, "seed": 7, "negative_prompt": "blur"}

    fields = (await wan.submitted(**given)).fields

    assert fields["prompt"] == PROMPT
    assert fields["num_inference_steps"] == 40
    assert {"guidance_scale": 7.5, "seed": 7, "negative_prompt": "blur"}.items() <= fields.items()


async def test_seed_that_nobody_gave_is_random(wan: Caller) -> None:
    seeds = {(await wan.submitted()).fields["seed"] for _ in range(2)}

    assert len(seeds) == 2
    assert all(0 <= seed <= 2**31 - 1 for seed in seeds)


async def test_name_of_the_video_tells_nothing_of_the_task(wan: Caller) -> None:
    task = await wan.submitted()

    name = task.output_name.removeprefix("wan21/").removesuffix(".mp4")
    assert HEX.fullmatch(name)
    assert name != task.id


@pytest.mark.parametrize("model", ["Wan2.1-I2V-14B-480P", "shapes"])
async def test_model_may_be_the_documented_name_or_that_of_the_pipeline(
    wan: Caller, model: str
) -> None:
    assert (await wan.submit(model=model)).status == 202


async def test_model_that_is_not_served_is_422_and_names_the_one_that_is(wan: Caller) -> None:
    answer = await wan.submit(model="Wan9")

    assert answer.status == 422
    assert answer.faults == [(["body", "model"], "enum")]
    assert "shapes" in answer.detail[0]["msg"]


@pytest.mark.parametrize("name", ["image_url", "prompt"])
async def test_field_without_a_default_is_required(wan: Caller, name: str) -> None:
    answer = await wan.submit(without=name)

    assert answer.status == 422
    assert answer.faults == [(["body", name], "missing")]
    assert answer.detail[0]["msg"].startswith(f"缺少必填字段: {name} ")


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("num_frames", 24, 120, 23, 121),
        ("guidance_scale", 1.0, 20.0, 0.99, 20.01),
        ("infer_steps", 20, 100, 19, 101),
        ("seed", 0, 2147483647, -1, 2147483648),
        ("prompt", "x" * 10, "画" * 500, "x" * 9, "画" * 501),
        ("negative_prompt", "", "坏" * 500, 7, "坏" * 501),
    ],
)
async def test_value_is_held_to_its_documented_range(
    wan: Caller, name: str, low: Any, high: Any, below: Any, above: Any
) -> None:
    for value in (low, high):
        assert (await wan.submit(**{name: value})).status == 202, value
    for value in (below, above):
        answer = await wan.submit(**{name: value})
        assert answer.status == 422
        assert [loc for loc, _ in answer.faults] == [["body", name]]
        assert re.search("[一-鿿]", answer.detail[0]["msg"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", "832*480"),
        ("image_size", "AUTO"),
        ("num_frames", "many"),
        ("num_frames", 81.5),
        ("num_frames", None),
        ("guidance_scale", True),
        ("infer_steps", [30]),
        ("seed", True),
        ("image_url", 7),
        ("image_url", ""),
        ("prompt", " " * 20),
        ("model", None),
    ],
)
async def test_value_of_a_wrong_kind_is_422_and_names_its_field(
    wan: Caller, name: str, value: Any
) -> None:
    answer = await wan.submit(**{name: value})

    assert answer.status == 422
    assert [loc for loc, _ in answer.faults] == [["body", name]]
    assert answer.detail[0]["msg"].startswith(f"{name} ")


async def test_every_wrong_field_is_named_at_once(wan: Caller) -> None:
    answer = await wan.submit(num_frames=1, infer_steps=1, prompt="short")

    assert [loc[1] for loc, _ in answer.faults] == ["prompt", "num_frames", "infer_steps"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
async def test_body_that_is_no_object_is_422(wan: Caller, body: bytes) -> None:
    answer = await wan.post(body)

    assert answer.status == 422
    assert answer.detail[0]["loc"][0] == "body"
    assert answer.detail[0]["msg"] == "请求体必须是JSON对象"


@pytest.mark.parametrize(
    ("size", "pixels"), [("auto", (832, 464)), ("832x480", (832, 480)), ("480x832", (480, 832))]
)
async def test_picture_comes_to_the_pipeline_in_rgb_and_in_the_size_of_the_video(
    wan: Caller, web: Web, backend: WanBackend, size: str, pixels: tuple[int, int]
) -> None:
    palette = io.BytesIO()
    Image.new("P", (1920, 1080)).save(palette, "GIF")
    web.answers["/palette.gif"] = answer(palette.getvalue())

    task = await wan.submitted(image_url=f"{wan.url}/palette.gif", image_size=size)

    picture = input_picture(backend, task)
    assert (picture.mode, picture.size) == ("RGB", pixels)


async def test_picture_of_another_shape_is_cut_around_its_centre_and_not_stretched(
    wan: Caller, web: Web, backend: WanBackend
) -> None:
    source = Image.new("RGB", (300, 300), "red")
    source.paste("blue", (100, 100, 200, 200))
    content = io.BytesIO()
    source.save(content, "PNG")
    web.answers["/square.png"] = answer(content.getvalue())

    task = await wan.submitted(image_url=f"{wan.url}/square.png", image_size="832x480")

    picture = input_picture(backend, task)
    middle = [x for x in range(832) if picture.getpixel((x, 240)) == (0, 0, 255)]
    column = [y for y in range(480) if picture.getpixel((416, y)) == (0, 0, 255)]
    assert abs(len(middle) - 832 / 3) < 8
    assert abs(len(middle) - len(column)) < 8


async def test_picture_that_lies_on_its_side_is_turned_as_its_camera_says(
    wan: Caller, web: Web
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    Image.new("RGB", (1920, 1080)).save(content, "JPEG", exif=exif)
    web.answers["/turned.jpg"] = answer(content.getvalue())

    fields = (await wan.submitted(image_url=f"{wan.url}/turned.jpg")).fields

    assert (fields["width"], fields["height"]) == (464, 832)


async def test_nothing_is_kept_of_the_download_but_the_picture_of_the_task(
    wan: Caller, backend: WanBackend
) -> None:
    task = await wan.submitted()

    kept = [path for path in left_behind(backend) if "upload" in path.parts]
    inputs = list((backend.root / "tasks" / task.id / "inputs").iterdir())
    assert kept == []
    assert [path.name for path in inputs] == [task.inputs["first_image_path"]]


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("not a url", "URL无效"),
        ("ftp://example.com/a.png", "URL无效"),
        ("file:///etc/passwd", "URL无效"),
        ("http://", "URL无效"),
        ("http://user:secret@example.com/a.png", "地址不能包含用户名或密码"),
        ("http://no-such-host.invalid/a.png", "无法访问该主机，请使用可公开访问的地址"),
        ("{web}/missing.png", "图像服务器返回状态码 404"),
        ("{web}/broken.png", "图像服务器返回状态码 500"),
        ("{web}/loop.png", "重定向无效或次数过多"),
        ("{web}/large.png", "图像超过65536字节"),
        ("{web}/text.png", "内容不是可用的图像"),
        ("{web}/film.mp4", "内容不是可用的图像"),
    ],
)
async def test_image_that_cannot_be_had_is_400_with_its_cause(
    wan: Caller, web: Web, backend: WanBackend, address: str, cause: str
) -> None:
    web.answers |= {
        "/broken.png": answer(status=500),
        "/loop.png": redirect("/loop.png"),
        "/large.png": answer(noise()),
        "/text.png": answer(b"no picture at all"),
        "/film.mp4": answer(mp4()),
    }

    answered = await wan.submit(image_url=address.replace("{web}", wan.url))

    assert answered.status == 400
    assert reason(answered).startswith(f"图像下载失败: {cause}")
    assert "secret" not in reason(answered)
    assert left_behind(backend) == []


async def test_image_that_takes_too_long_is_400_and_says_so(wan: Caller, web: Web) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    web.answers["/slow.png"] = silent

    answered = await wan.submit(image_url=f"{wan.url}/slow.png")

    assert (answered.status, reason(answered)) == (400, "图像下载失败: 下载超时（0.3秒）")


async def test_picture_longer_than_eight_to_one_is_400_where_the_size_follows_it(
    wan: Caller, web: Web, backend: WanBackend
) -> None:
    web.answers["/line.png"] = answer(still(width=900, height=100))
    line = f"{wan.url}/line.png"

    automatic = await wan.submit(image_url=line)
    named = await wan.submit(image_url=line, image_size="832x480")

    assert automatic.status == 400
    assert reason(automatic).startswith("图像宽高比超过8:1")
    assert named.status == 202


async def test_bad_fields_cost_no_download(wan: Caller, web: Web) -> None:
    await wan.submit(prompt="short")
    await wan.submit(model="Wan9")

    assert web.requests == []


async def test_full_queue_is_503_before_anything_is_fetched(
    wan: Caller, web: Web, backend: WanBackend
) -> None:
    for _ in range(LIMITS.queue):
        await wan.submitted()
    fetched = len(web.requests)

    answered = await wan.submit()

    assert (answered.status, reason(answered)) == (503, "任务队列已满，请稍后重试")
    assert "retry-after" in answered.headers
    assert len(web.requests) == fetched


async def test_pipeline_that_makes_no_video_of_an_image_refuses_before_the_download(
    wan: Caller, web: Web, backend: WanBackend
) -> None:
    backend.admission.open(PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="other"))

    answered = await wan.submit()

    assert answered.status == 400
    assert reason(answered).startswith("参数错误: ")
    assert web.requests == []


async def test_value_that_the_pipeline_refuses_is_named_as_the_caller_knows_it(
    wan: Caller, backend: WanBackend
) -> None:
    steps = {"num_inference_steps": {"type": "integer", "maximum": 50}}
    contract = {"supported_tasks": ["i2v"], "task_contracts": {"i2v": {"parameters": steps}}}
    backend.admission.open(PipelineContract.parse(contract, stem="other"))

    answered = await wan.submit(infer_steps=51)

    assert answered.status == 422
    assert answered.faults == [(["body", "infer_steps"], "less_than_equal")]
    assert left_behind(backend) == []


async def test_video_that_runs_were_measured_not_to_fit_is_500_with_the_documented_advice(
    wan: Caller, backend: WanBackend
) -> None:
    backend.pool.script = COMPLETES
    measured = await wan.submitted(num_frames=81)
    await backend.ended(measured.id)
    done = await backend.tasks.get(measured.id)
    backend.tasks._tasks[done.id] = replace(done, peak_memory_mib=20 * 1024.0)
    backend.gpus = [Gpu(memory_used_bytes=4 * GIB)]

    same, other = await wan.submit(num_frames=81), await wan.submit(num_frames=24)

    assert (same.status, reason(same)) == (500, "显存不足，请降低分辨率")
    assert other.status == 202, "nobody knows what another shape takes"


async def test_service_without_keys_answers_nobody(tmp_path: Path, web: Web) -> None:
    async with KeylessBackend(tmp_path) as backend:
        backend.open()
        wan = Caller(backend, web)

        answers = [await wan.submit(), await wan.status("a" * 32), await wan.cancel("a" * 32)]

    assert [each.status for each in answers] == [503] * 3
    assert all("TELEFUSER_API_KEYS" in reason(each) for each in answers)
    assert web.requests == []
