"""Videos made from other videos: remix, edits and extensions."""

import base64
from typing import Any

import pytest

from telefuser_grpc._gen.openai.v1 import video_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from tests.fakes.media_files import mp4, still
from tests.server.backend import HANGS, MAX_UPLOAD_BYTES, Backend
from tests.server.openai.video_caller import VideoCaller, error_of

FILM = mp4(frames=3, width=64, height=32)
MP4_URL = f"data:video/mp4;base64,{base64.b64encode(FILM).decode()}"
BLUE = {"prompt": "the same in blue"}


def contract_of(*kinds: str) -> PipelineContract:
    return PipelineContract.parse({"supported_tasks": kinds}, stem="films")


async def test_remix_goes_on_from_the_whole_video_where_the_pipeline_can(
    videos: VideoCaller,
) -> None:
    source = await videos.made(FILM)

    answer = await videos.remix(source, BLUE)

    task = await videos.task(answer)
    assert (task.kind, list(task.inputs)) == ("vc", ["ref_video_path"])
    assert answer.json["remixed_from_video_id"] == source
    assert (answer.json["prompt"], answer.json["id"] == source) == (BLUE["prompt"], False)


async def test_remix_goes_on_from_the_last_frame_where_the_pipeline_takes_pictures(
    loading: Backend, videos: VideoCaller
) -> None:
    source = await videos.made(FILM)
    loading.open(contract_of("t2v", "i2v"))

    task = await videos.task(await videos.remix(source, BLUE))

    assert (task.kind, list(task.inputs)) == ("i2v", ["first_image_path"])


async def test_remix_is_unsupported_where_the_pipeline_takes_neither(
    loading: Backend, videos: VideoCaller
) -> None:
    source = await videos.made(FILM)
    loading.open(contract_of("t2v"))

    assert error_of(await videos.remix(source, BLUE)) == (400, None, "unsupported")


async def test_remix_takes_over_what_the_video_was_asked_for_with(videos: VideoCaller) -> None:
    source = await videos.made(FILM, size="720x1280", seconds=9, seed=0, model="m")

    answer = await videos.remix(source, BLUE)

    assert (answer.json["size"], answer.json["seconds"]) == ("720x1280", "9")
    assert ((await videos.task(answer)).fields["seed"], answer.json["model"]) == (0, "m")


async def test_remix_of_a_video_that_is_not_made_yet_is_refused(videos: VideoCaller) -> None:
    videos.backend.pool.script = HANGS
    source = (await videos.create()).json["id"]

    assert error_of(await videos.remix(source, BLUE)) == (400, None, "video_not_ready")


async def test_remix_of_an_unknown_video_is_not_found(videos: VideoCaller) -> None:
    assert error_of(await videos.remix("video_unheard_of", BLUE))[0] == 404


async def test_remix_without_a_prompt_is_refused_by_name(videos: VideoCaller) -> None:
    assert error_of(await videos.remix(await videos.made(FILM), {}))[:2] == (422, "prompt")


async def test_remix_leaves_no_upload_behind(backend: Backend, videos: VideoCaller) -> None:
    await videos.remix(await videos.made(FILM), BLUE)

    assert not list((backend.root / "uploads").glob("*"))


@pytest.mark.parametrize("path", ["edit", "extend"])
@pytest.mark.parametrize("as_text", [False, True])
async def test_edit_and_extension_go_on_from_a_stored_video(
    videos: VideoCaller, path: str, as_text: bool
) -> None:
    source = await videos.made(FILM)
    video: Any = source if as_text else {"id": source}

    answer = await getattr(videos, path)({**BLUE, "video": video, "seconds": "8"})

    assert (await videos.task(answer)).kind == "vc"
    assert (answer.json["remixed_from_video_id"], answer.json["seconds"]) == (source, "8")


@pytest.mark.parametrize("path", ["EditVideo", "ExtendVideo"])
async def test_edit_and_extension_go_on_from_a_file(videos: VideoCaller, path: str) -> None:
    files = {"video": ("clip.mp4", FILM, "video/mp4")}

    answer = await videos.post_form(
        getattr(videos.videos, path), getattr(pb, f"{path}Request"), BLUE, files
    )

    task = await videos.task(answer)
    assert (task.kind, list(task.inputs)) == ("vc", ["ref_video_path"])
    assert answer.json["remixed_from_video_id"] is None


async def test_video_of_an_edit_may_be_named_in_brackets(videos: VideoCaller) -> None:
    source = await videos.made(FILM)

    answer = await videos.post_form(
        videos.videos.EditVideo, pb.EditVideoRequest, {**BLUE, "video[id]": source}, None
    )

    assert answer.json["remixed_from_video_id"] == source


async def test_video_of_an_edit_may_be_a_data_url(videos: VideoCaller) -> None:
    answer = await videos.edit({**BLUE, "video": MP4_URL})

    assert (await videos.task(answer)).kind == "vc"


async def test_edit_goes_on_from_the_first_frame_where_the_pipeline_takes_pictures(
    loading: Backend, videos: VideoCaller
) -> None:
    source = await videos.made(FILM)
    loading.open(contract_of("t2v", "i2v"))

    task = await videos.task(await videos.edit({**BLUE, "video": {"id": source}}))
    sent = await videos.edit({**BLUE, "video": MP4_URL})

    assert task.kind == "i2v"
    assert error_of(sent) == (400, None, "unsupported")


async def test_extension_is_unsupported_without_a_kind_that_continues_videos(
    loading: Backend, videos: VideoCaller
) -> None:
    source = await videos.made(FILM)
    loading.open(contract_of("t2v", "i2v"))

    answer = await videos.extend({**BLUE, "video": {"id": source}})

    assert error_of(answer) == (400, None, "unsupported")


@pytest.mark.parametrize(
    ("video", "status", "param"),
    [
        (None, 422, "video"),
        ("", 422, "video"),
        (7, 422, "video"),
        ({"name": "x"}, 422, "video"),
        ("video_unheard_of", 404, None),
        ({"id": "video_unheard_of"}, 404, None),
        ("http://127.0.0.1/a.mp4", 400, "video"),
        ("data:video/mp4;base64,AAAA", 400, "video"),
    ],
)
async def test_wrong_video_of_an_edit_is_refused(
    videos: VideoCaller, video: Any, status: int, param: str | None
) -> None:
    assert error_of(await videos.edit({**BLUE, "video": video}))[:2] == (status, param)


@pytest.mark.parametrize(
    ("content", "status"),
    [(still(), 400), (b"no film at all", 400), (b"", 400), (bytes(MAX_UPLOAD_BYTES + 1), 413)],
)
async def test_file_that_is_no_video_of_a_fair_size_is_refused_by_name(
    backend: Backend, videos: VideoCaller, content: bytes, status: int
) -> None:
    files = {"video": ("clip.mp4", content, "video/mp4")}

    answer = await videos.post_form(videos.videos.ExtendVideo, pb.ExtendVideoRequest, BLUE, files)

    assert error_of(answer)[:2] == (status, "video")
    assert backend.tasks.ids() == []
    assert not list((backend.root / "uploads").glob("*"))


async def test_edit_that_an_sdk_sends_again_makes_one_video(videos: VideoCaller) -> None:
    source = await videos.made(FILM)
    body = {**BLUE, "video": {"id": source}}

    ids = [
        (
            await videos.post(
                videos.videos.EditVideo, pb.EditVideoRequest, body, x_stainless_retry_count=count
            )
        ).json["id"]
        for count in ("0", "1")
    ]

    assert len(set(ids)) == 1
