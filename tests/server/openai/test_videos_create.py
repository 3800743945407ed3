"""`POST /v1/videos`: what is asked for becomes a task, in JSON and in forms."""

import base64
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc._gen.openai.v1 import video_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from tests.fakes.media_files import mp4, still
from tests.server.backend import HANGS, MAX_UPLOAD_BYTES, Backend
from tests.server.openai.video_caller import VideoCaller, error_of
from tests.server.rest.gateway import body_requests

PICTURE = base64.b64encode(still()).decode()
PNG_URL = f"data:image/png;base64,{PICTURE}"
MP4_URL = f"data:video/mp4;base64,{base64.b64encode(mp4()).decode()}"
SIZE_FIELDS = {"resolution", "aspect_ratio", "width", "height", "openai_video_size"}
KEYS = {
    *("id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at"),
    *("prompt", "remixed_from_video_id", "seconds", "size", "error", "url", "quality"),
    *("artifact_id", "artifact_metadata", "peak_memory_mb", "inference_time_s"),
    "telefuser_status",
}


def left_over(backend: Backend) -> list[Path]:
    """Returns the files below the service's folder."""
    return [path for path in backend.root.rglob("*") if path.is_file()]


def contract_with(**parameters: Any) -> PipelineContract:
    """Returns a contract whose `t2v` declares parameters beside the prompt."""
    prompt = {"prompt": {"type": "string", "required": True}}
    return PipelineContract.parse(
        {
            "supported_tasks": ["t2v"],
            "task_contracts": {"t2v": {"parameters": prompt | parameters}},
        },
        stem="films",
    )


async def test_created_video_has_all_documented_keys_and_null_where_nothing_is_known(
    videos: VideoCaller,
) -> None:
    videos.backend.pool.script = HANGS

    answer = await videos.create(model="wan", seconds=5, size="1024x576")

    video = answer.json
    known = {"id", "object", "model", "status", "progress", "created_at", "prompt", "seconds"}
    known |= {"size", "quality", "telefuser_status"}
    assert answer.status == 200
    assert video.keys() == KEYS
    assert {name for name, value in video.items() if value is not None} == known
    assert (video["object"], video["status"], video["progress"]) == ("video", "queued", 0)
    assert (video["model"], video["seconds"], video["size"]) == ("wan", "5", "1024x576")
    assert video["id"].startswith("task_")


async def test_video_and_task_have_the_same_id_on_both_interfaces(videos: VideoCaller) -> None:
    video_id = (await videos.create()).json["id"]

    assert (await videos.backend.ended(video_id)).task_id == video_id


async def test_prompt_alone_makes_a_video_with_the_documented_defaults(
    videos: VideoCaller,
) -> None:
    answer = await videos.create()

    task = await videos.task(answer)
    assert task.kind == "t2v"
    assert dict(task.fields) == {
        "prompt": "a red ball",
        "target_video_length": 4,
        "seed": 1024,
        "resolution": "720p",
        "aspect_ratio": "16:9",
        "width": 1024,
        "height": 576,
        "openai_video_size": "1024x576",
    }
    assert (answer.json["model"], answer.json["seconds"]) == ("wan-video", "4")
    assert answer.json["size"] == "1024x576"


@pytest.mark.parametrize("seconds", [5, "5", 5.0, "05"])
async def test_seconds_may_be_a_number_or_its_text(videos: VideoCaller, seconds: Any) -> None:
    answer = await videos.create(seconds=seconds)

    assert (await videos.task(answer)).fields["target_video_length"] == 5
    assert answer.json["seconds"] == "5"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "x"),
        ("prompt", "画" * 4000),
        ("seconds", 1),
        ("seconds", 60),
        ("seed", 2**63 - 1),
        ("size", "1x1"),
        ("size", "8192x8192"),
    ],
)
async def test_value_at_its_documented_limit_is_taken(
    videos: VideoCaller, name: str, value: Any
) -> None:
    answer = await videos.create(**{name: value})

    assert answer.status == 200, answer.body


@pytest.mark.parametrize("seed", [0, "0"])
async def test_seed_zero_stays_zero(videos: VideoCaller, seed: Any) -> None:
    assert (await videos.task(await videos.create(seed=seed))).fields["seed"] == 0


async def test_defaults_of_the_contract_win_over_those_of_the_interface(
    loading: Backend, videos: VideoCaller
) -> None:
    loading.open(
        contract_with(
            seed={"type": "integer", "default": 7},
            target_video_length={"type": "integer", "default": 9},
            resolution={"type": "string", "default": "480p", "enum": ["480p", "720p"]},
        )
    )

    answer = await videos.create()

    task = await videos.task(answer)
    assert (task.fields["seed"], task.fields["target_video_length"]) == (7, 9)
    assert SIZE_FIELDS & task.fields.keys() == {"resolution"}
    assert (answer.json["seconds"], answer.json["size"]) == ("9", "854x480")


async def test_what_is_sent_wins_over_defaults_of_the_contract(
    loading: Backend, videos: VideoCaller
) -> None:
    loading.open(
        contract_with(
            seed={"type": "integer", "default": 7}, resolution={"type": "string", "default": "480p"}
        )
    )

    task = await videos.task(await videos.form({"seed": "3", "size": "1280x720"}))

    assert (task.fields["seed"], task.fields["resolution"]) == (3, "720p")


async def test_form_fields_that_are_not_sent_are_not_explicit(
    loading: Backend, videos: VideoCaller
) -> None:
    loading.open(contract_with(seed={"type": "integer", "default": 7}))

    assert (await videos.task(await videos.form())).fields["seed"] == 7


async def test_size_outside_the_contract_is_refused_by_the_name_of_its_field(
    loading: Backend, videos: VideoCaller
) -> None:
    loading.open(contract_with(resolution={"type": "string", "enum": ["480p"]}))

    assert error_of(await videos.create(size="1920x1080"))[:2] == (422, "size")


async def test_negative_prompt_and_model_reach_the_pipeline(videos: VideoCaller) -> None:
    task = await videos.task(await videos.create(negative_prompt="blur", model="sora-2"))

    assert (task.fields["negative_prompt"], task.fields["model"]) == ("blur", "sora-2")


async def test_null_and_empty_fields_count_as_not_given(videos: VideoCaller) -> None:
    names = ("model", "seconds", "size", "seed", "negative_prompt", "output_path")
    names += ("input_reference", "reference_url")
    plain = (await videos.task(await videos.create())).fields

    for value in (None, ""):
        answer = await videos.create(**dict.fromkeys(names, value))
        assert (await videos.task(answer)).fields == plain


async def test_output_path_names_the_file(videos: VideoCaller) -> None:
    task = await videos.task(await videos.create(output_path="films/ball.mp4"))

    assert task.output_name == "films/ball.mp4"


@pytest.mark.parametrize("path", ["/path/to/output.mp4", "../ball.mp4", "ball.exe"])
async def test_output_path_that_is_absolute_or_leads_out_is_refused(
    videos: VideoCaller, path: str
) -> None:
    assert error_of(await videos.create(output_path=path))[:2] == (400, "output_path")


async def test_unknown_fields_are_ignored_and_declared_ones_reach_the_pipeline(
    videos: VideoCaller,
) -> None:
    answer = await videos.create(
        steps=3, flag=True, user="ann", nested={"a": 1}, task="t2i", first_image_path="/etc/passwd"
    )

    task = await videos.task(answer)
    assert (task.kind, task.fields["steps"]) == ("t2v", 3)
    assert not {"flag", "user", "nested", "first_image_path"} & task.fields.keys()


async def test_declared_field_outside_its_range_is_refused_by_its_name(videos: VideoCaller) -> None:
    assert error_of(await videos.create(steps=99))[:2] == (422, "steps")


async def test_texts_of_a_form_are_read_by_the_types_of_the_contract(videos: VideoCaller) -> None:
    form = {"steps": "3", "loop": "true", "camera[pan]": "2", "camera[path][]": "left"}
    form |= {"nested[a]": "1", "flag": "true"}

    fields = (await videos.task(await videos.form(form))).fields

    assert (fields["steps"], fields["loop"]) == (3, True)
    assert fields["camera"] == {"pan": 2, "path": ["left"]}
    assert not {"nested", "nested[a]", "flag"} & fields.keys()


async def test_numeric_text_is_a_prompt_in_a_form(videos: VideoCaller) -> None:
    assert (await videos.form({"prompt": "1984"})).json["prompt"] == "1984"


@pytest.mark.parametrize(
    ("reference", "kind", "field"),
    [
        (PNG_URL, "i2v", "first_image_path"),
        (PICTURE, "i2v", "first_image_path"),
        ({"image_url": PNG_URL}, "i2v", "first_image_path"),
        (MP4_URL, "vc", "ref_video_path"),
        ({"image_url": MP4_URL}, "vc", "ref_video_path"),
    ],
)
async def test_reference_in_json_starts_the_kind_that_takes_it(
    videos: VideoCaller, reference: Any, kind: str, field: str
) -> None:
    task = await videos.task(await videos.create(input_reference=reference))

    assert (task.kind, list(task.inputs)) == (kind, [field])


async def test_reference_url_is_a_reference_too(videos: VideoCaller) -> None:
    task = await videos.task(await videos.create(reference_url=PNG_URL))

    assert task.kind == "i2v"


@pytest.mark.parametrize(
    ("name", "content", "content_type", "kind"),
    [
        ("a.png", still(), "image/png", "i2v"),
        ("upload", still(), "application/octet-stream", "i2v"),
        ("clip.mp4", mp4(), "video/mp4", "vc"),
        ("upload", mp4(), "application/octet-stream", "vc"),
        ("lie.mp4", still(), "video/mp4", "i2v"),
    ],
)
async def test_file_in_a_form_starts_the_kind_that_its_content_asks_for(
    videos: VideoCaller, name: str, content: bytes, content_type: str, kind: str
) -> None:
    answer = await videos.form(files={"input_reference": (name, content, content_type)})

    assert (await videos.task(answer)).kind == kind


@pytest.mark.parametrize("name", ["input_reference[image_url]", "input_reference", "reference_url"])
async def test_address_in_a_form_is_taken_in_every_spelling(videos: VideoCaller, name: str) -> None:
    assert (await videos.task(await videos.form({name: PNG_URL}))).kind == "i2v"


@pytest.mark.parametrize(
    ("kinds", "reference", "kind"),
    [
        (("i2i", "i2v"), PNG_URL, "i2v"),
        (("t2v", "vsr"), MP4_URL, "vsr"),
        (("vsr", "vc"), MP4_URL, "vsr"),
        (("t2i", "t2v", "i2v"), None, "t2v"),
    ],
)
async def test_kind_is_the_one_that_makes_a_video_of_what_is_given(
    loading: Backend, videos: VideoCaller, kinds: tuple[str, ...], reference: str, kind: str
) -> None:
    loading.open(PipelineContract.parse({"supported_tasks": kinds}, stem="films"))

    task = await videos.task(await videos.create(input_reference=reference))

    assert task.kind == kind


@pytest.mark.parametrize(("kinds", "reference"), [(("i2i",), PNG_URL), (("t2i",), None)])
async def test_pipeline_without_videos_refuses(
    loading: Backend, videos: VideoCaller, kinds: tuple[str, ...], reference: str
) -> None:
    loading.open(PipelineContract.parse({"supported_tasks": kinds}, stem="films"))

    answer = await videos.create(input_reference=reference)

    assert error_of(answer) == (400, "model", "unsupported_task")
    assert videos.backend.tasks.ids() == []


async def test_list_in_a_form_is_read_from_its_repeated_field(videos: VideoCaller) -> None:
    boundary = "X"
    fields = [("prompt", "p"), ("camera[path][]", "left"), ("camera[path][]", "up")]
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields
    ]
    body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
    kind = f"multipart/form-data; boundary={boundary}"

    answer = await videos.ask(
        videos.videos.CreateVideo, body_requests(pb.CreateVideoRequest, kind, [body])
    )

    assert (await videos.task(answer)).fields["camera"] == {"path": ["left", "up"]}


async def test_file_id_in_a_form_is_that_of_an_upload(videos: VideoCaller) -> None:
    async with videos.backend.uploads.receive() as sink:
        await sink.write(still())
        upload = await sink.finish()

    answer = await videos.form({"input_reference[file_id]": upload.id})

    assert (await videos.task(answer)).kind == "i2v"


async def test_body_of_another_kind_is_415_and_names_what_is_taken(videos: VideoCaller) -> None:
    sent = body_requests(pb.CreateVideoRequest, "text/plain", [b"x"])

    answer = await videos.ask(videos.videos.CreateVideo, sent)

    assert answer.status == 415
    assert answer.detail.endswith("or application/x-www-form-urlencoded or application/json")


async def test_file_id_is_that_of_an_upload(videos: VideoCaller) -> None:
    async with videos.backend.uploads.receive() as sink:
        await sink.write(still())
        upload = await sink.finish()

    answer = await videos.create(input_reference={"file_id": upload.id})

    assert (await videos.task(answer)).kind == "i2v"
    assert error_of(await videos.create(input_reference={"file_id": "file-1"}))[0] == 404


async def test_form_leaves_no_upload_behind(videos: VideoCaller) -> None:
    await videos.form(files={"input_reference": ("a.png", still(), "image/png")})

    assert not [path for path in left_over(videos.backend) if "uploads" in path.parts]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"seconds": 0}, 422, "seconds"),
        ({"seconds": 61}, 422, "seconds"),
        ({"seconds": "soon"}, 422, "seconds"),
        ({"seconds": 4.5}, 422, "seconds"),
        ({"seconds": True}, 422, "seconds"),
        ({"size": "banana"}, 422, "size"),
        ({"size": "0x720"}, 422, "size"),
        ({"size": "9000x720"}, 422, "size"),
        ({"size": 720}, 422, "size"),
        ({"seed": -1}, 422, "seed"),
        ({"seed": 2**63}, 422, "seed"),
        ({"prompt": ""}, 422, "prompt"),
        ({"prompt": None}, 422, "prompt"),
        ({"prompt": 7}, 422, "prompt"),
        ({"prompt": "x" * 4001}, 422, "prompt"),
        ({"input_reference": 3}, 422, "input_reference"),
        ({"input_reference": {"image_url": 3}}, 422, "input_reference"),
        ({"input_reference": "/etc/passwd"}, 400, "input_reference"),
        ({"input_reference": "http://127.0.0.1/a.png"}, 400, "input_reference"),
        ({"input_reference": "http://169.254.169.254/a.mp4"}, 400, "input_reference"),
        ({"input_reference": "data:image/png;base64,AAAA"}, 400, "input_reference"),
        ({"input_reference": "http://[x/a.png"}, 400, "input_reference"),
        ({"input_reference": {"image_url": "http://127.0.0.1/a.png"}}, 400, "input_reference"),
        ({"reference_url": 3}, 422, "reference_url"),
        ({"reference_url": "http://127.0.0.1/a.png"}, 400, "reference_url"),
        ({"reference_url": "http://127.0.0.1/a.mp4"}, 400, "reference_url"),
        ({"reference_url": "data:image/png;base64,AAAA"}, 400, "reference_url"),
        ({"input_reference": PNG_URL, "reference_url": PNG_URL}, 422, "input_reference"),
    ],
)
async def test_wrong_value_is_refused_by_its_name_and_leaves_nothing(
    videos: VideoCaller, fields: dict[str, Any], status: int, param: str
) -> None:
    answer = await videos.create(**fields)

    assert error_of(answer)[:2] == (status, param)
    assert answer.faults[0][0] == ["body", param]
    assert param in answer.json["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert videos.backend.tasks.ids() == []
    assert left_over(videos.backend) == []


async def test_missing_prompt_is_named(videos: VideoCaller) -> None:
    missing = (422, "prompt", "missing_required_parameter")

    assert error_of(await videos.send({"seconds": 4})) == missing
    assert error_of(await videos.form({"prompt": ""})) == missing


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"prompt": NaN}', b"\xff"])
async def test_body_that_is_no_json_object_is_refused(videos: VideoCaller, body: bytes) -> None:
    assert error_of(await videos.send(body))[0] == 422


async def test_json_body_over_the_limit_is_refused(videos: VideoCaller) -> None:
    answer = await videos.create(input_reference="a" * 5 * 2**20)

    assert error_of(answer)[0] == 413


async def test_file_that_is_no_media_is_refused_and_leaves_nothing(videos: VideoCaller) -> None:
    files = {"input_reference": ("a.png", b"not a picture at all", "image/png")}

    answer = await videos.form(files=files)

    assert error_of(answer) == (400, "input_reference", "input_rejected")
    assert left_over(videos.backend) == []


@pytest.mark.parametrize("name", ["input_reference", "reference_url"])
async def test_address_in_a_form_is_refused_by_the_name_it_was_sent_under(
    videos: VideoCaller, name: str
) -> None:
    answer = await videos.form({name: "http://127.0.0.1/a.png"})

    assert error_of(answer) == (400, name, "input_rejected")
    assert left_over(videos.backend) == []


async def test_file_over_the_limit_is_refused_by_name(videos: VideoCaller) -> None:
    large = ("a.png", bytes(MAX_UPLOAD_BYTES + 1), "image/png")

    answer = await videos.form(files={"input_reference": large})

    assert error_of(answer) == (413, "input_reference", "upload_too_large")
    assert left_over(videos.backend) == []


async def test_file_in_an_unknown_field_is_refused(videos: VideoCaller) -> None:
    answer = await videos.form(files={"image": ("a.png", still(), "image/png")})

    assert error_of(answer)[:2] == (422, "image")


async def test_file_and_address_together_are_refused(videos: VideoCaller) -> None:
    files = {"input_reference": ("a.png", still(), "image/png")}

    for other in ("input_reference", "input_reference[image_url]", "reference_url"):
        answer = await videos.form({other: PNG_URL}, files)
        assert error_of(answer)[:2] == (422, "input_reference")


async def test_reference_that_no_kind_takes_is_refused(
    loading: Backend, videos: VideoCaller
) -> None:
    loading.open(contract_with())

    assert error_of(await videos.create(input_reference=PNG_URL))[0] == 400


async def test_full_queue_may_be_tried_again_and_says_when(videos: VideoCaller) -> None:
    videos.backend.pool.script = HANGS
    for _ in range(3):
        await videos.create()

    answer = await videos.create()

    assert error_of(answer) == (503, None, "queue_full")
    assert answer.headers["x-should-retry"] == "true"
    assert int(answer.headers["retry-after"]) > 0


async def test_form_to_a_full_queue_is_refused_before_its_file_is_stored(
    videos: VideoCaller,
) -> None:
    videos.backend.pool.script = HANGS
    for _ in range(3):
        await videos.create()

    answer = await videos.form(files={"input_reference": ("a.png", b"never read", "image/png")})

    assert error_of(answer)[2] == "queue_full"


async def test_request_that_an_sdk_sends_again_makes_one_video(videos: VideoCaller) -> None:
    first = await videos.create({"x_stainless_retry_count": "0"})
    again = await videos.create({"x_stainless_retry_count": "1"})
    other = await videos.create({"x_stainless_retry_count": "0"})

    assert first.json["id"] == again.json["id"] != other.json["id"]


async def test_form_with_a_file_that_an_sdk_sends_again_makes_one_video(
    videos: VideoCaller,
) -> None:
    ids = [
        (
            await videos.form(
                files={"input_reference": ("a.png", still(), "image/png")},
                x_stainless_retry_count=count,
            )
        ).json["id"]
        for count in ("0", "1", "2")
    ]

    assert len(set(ids)) == 1


async def test_same_prompt_of_other_callers_is_no_retry(videos: VideoCaller) -> None:
    ids = [
        (await videos.create({"x_stainless_retry_count": count, "x_forwarded_for": address})).json[
            "id"
        ]
        for count, address in (("0", "10.0.0.1"), ("1", "10.0.0.2"))
    ]

    assert len(set(ids)) == 2


async def test_idempotency_key_makes_a_video_once_also_while_the_queue_is_full(
    videos: VideoCaller,
) -> None:
    videos.backend.pool.script = HANGS
    first = await videos.create({"idempotency_key": "k"})
    for _ in range(2):
        await videos.create()

    again = await videos.create({"idempotency_key": "k"})

    assert first.json["id"] == again.json["id"]


async def test_idempotency_key_of_another_request_is_a_conflict_that_is_not_tried_again(
    videos: VideoCaller,
) -> None:
    await videos.create({"idempotency_key": "k"})

    answer = await videos.create({"idempotency_key": "k"}, seconds=9)

    assert error_of(answer) == (409, None, "request_id_reused")
    assert answer.headers["x-should-retry"] == "false"


async def test_service_that_still_loads_says_so(loading: Backend) -> None:
    answer = await VideoCaller(loading).create()

    assert error_of(answer)[0] == 503
