"""Images from prompts: what is asked of tasks, and what is answered."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import OutOfMemory, TaskTimeout
from telefuser_grpc.scheduler.admission import TaskRequest
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.server.attendance import Attendance
from telefuser_grpc.server.openai.image_errors import GenerationTimeout
from telefuser_grpc.server.openai.image_tasks import ImageTasks, longest_wait
from telefuser_grpc.server.openai.repetition import Repetition
from tests.server.backend import HANGS, LIMITS, Backend
from tests.server.openai.images_face import (
    CONTRACT,
    DRAWN,
    DRAWS,
    Face,
    cut,
    picture,
)
from tests.server.rest.gateway import Answer

SDK = {"x-stainless-retry-count": "0"}


@pytest.fixture
def face(loading: Backend) -> Face:
    loading.open(CONTRACT)
    loading.pool.script = DRAWS
    return Face(loading)


def declared(**parameters: Any) -> PipelineContract:
    task = {"parameters": parameters}
    return PipelineContract.parse(
        {"supported_tasks": ["t2i"], "task_contracts": {"t2i": task}}, stem="painter"
    )


async def fields_of(face: Face, **body: Any) -> dict[str, Any]:
    answer = await face.generate({"prompt": "a cat"} | body)
    assert answer.status == 200, answer.body
    return dict((await face.tasks())[-1].fields)


def error_of(answer: Answer) -> tuple[int, Any, Any]:
    error = answer.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert "detail" in answer.json
    return answer.status, error["param"], error["code"]


class TestAnswer:
    async def test_image_is_a_link_to_its_content_unless_asked_otherwise(self, face: Face) -> None:
        answer = await face.generate(
            {"prompt": "a cat"}, **{"x-forwarded-host": "here:80", "x-forwarded-proto": "https"}
        )

        (task,) = await face.tasks()
        (item,) = answer.json["data"]
        assert item["url"] == f"https://here:80/v1/images/{task.id}/content"
        assert (item["b64_json"], item["revised_prompt"]) == (None, "a cat")
        assert (task.kind, task.state) == ("t2i", TaskState.COMPLETED)

    async def test_image_comes_in_base64_when_asked_for(self, face: Face) -> None:
        answer = await face.generate({"prompt": "a cat", "response_format": "b64_json"})

        (item,) = answer.json["data"]
        assert item["url"] is None
        assert picture(item).size == (16, 12)

    @pytest.mark.parametrize(
        ("body", "is_inline"),
        [
            ({"model": "gpt-image-1"}, True),
            ({"model": "chatgpt-image-latest"}, True),
            ({"model": "gpt-image-1", "response_format": "url"}, False),
            ({"model": "dall-e-3"}, False),
            ({"response_format": None}, False),
        ],
    )
    async def test_callers_of_gpt_models_get_base64_where_they_do_not_say(
        self, face: Face, body: dict[str, Any], is_inline: bool
    ) -> None:
        answer = await face.generate({"prompt": "a cat"} | body)

        assert (answer.json["data"][0]["url"] is None) is is_inline

    async def test_answer_tells_what_was_made_and_what_it_cost(self, face: Face) -> None:
        answer = await face.generate({"prompt": "a cat", "quality": "high"})

        told = answer.json
        assert isinstance(told["created"], int)
        assert (told["size"], told["output_format"], told["quality"], told["background"]) == (
            "16x12",
            "png",
            "high",
            "opaque",
        )
        assert (told["inference_time_s"], told["peak_memory_mb"]) == (1.0, None)
        assert told["usage"]["total_tokens"] == 0

    async def test_answer_tells_of_the_file_but_not_where_the_server_keeps_it(
        self, face: Face
    ) -> None:
        (item,) = (await face.generate({"prompt": "a cat"})).json["data"]

        (task,) = await face.tasks()
        known = item["artifact_metadata"]
        assert item["artifact_id"] == known["artifact_id"] == task.artifacts[0].id
        assert (known["task_id"], known["media_type"]) == (task.id, "image/png")
        assert (known["backend"], known["size_bytes"]) == ("local", len(DRAWN))
        assert known["relative_path"] == f"tasks/{task.id}/outputs/images/{known['filename']}"
        assert "file_path" not in item
        assert str(face.backend.root) not in str(item)

    async def test_content_of_a_link_is_the_file(self, face: Face) -> None:
        await face.generate({"prompt": "a cat"})
        (task,) = await face.tasks()

        answer = await face.content(task.id)

        assert (answer.body, answer.content_type) == (DRAWN, "image/png")
        assert answer.headers["etag"]

    @pytest.mark.parametrize(
        ("format", "kept"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF"), ("svg", "PNG")]
    )
    async def test_image_in_base64_has_the_wanted_format_where_there_is_such_a_picture(
        self, face: Face, format: str, kept: str
    ) -> None:
        answer = await face.generate(
            {"prompt": "p", "output_format": format, "response_format": "b64_json"}
        )

        assert picture(answer.json["data"][0]).format == kept
        assert answer.json["output_format"] == kept.lower()

    async def test_compression_makes_a_smaller_file(self, face: Face) -> None:
        sizes = []
        for percent in (5, 95):
            answer = await face.generate(
                {
                    "prompt": "p",
                    "output_format": "jpeg",
                    "output_compression": percent,
                    "response_format": "b64_json",
                }
            )
            sizes.append(len(answer.json["data"][0]["b64_json"]))

        assert sizes[0] < sizes[1]


class TestSeveral:
    async def test_n_images_are_n_tasks_with_seeds_one_after_the_other(self, face: Face) -> None:
        answer = await face.generate({"prompt": "a cat", "n": 3, "seed": 7})

        tasks = await face.tasks()
        assert [task.fields["seed"] for task in tasks] == [7, 8, 9]
        assert [item["url"].split("/")[3] for item in answer.json["data"]] == [
            task.id for task in tasks
        ]
        assert answer.json["inference_time_s"] == 3.0

    @pytest.mark.parametrize(
        ("parameters", "seeds"),
        [
            ({}, [42, 43]),
            ({"seed": {"type": "integer", "default": 5}}, [5, 6]),
        ],
    )
    async def test_seed_that_is_not_given_is_the_contracts_else_42(
        self, face: Face, parameters: dict[str, Any], seeds: list[int]
    ) -> None:
        face.backend.admission.open(declared(**parameters))

        await face.generate({"prompt": "a cat", "n": 2})

        assert [task.fields["seed"] for task in await face.tasks()] == seeds

    async def test_seed_that_stands_for_chance_stays_so(self, face: Face) -> None:
        face.backend.admission.open(declared(seed={"type": "integer", "default": -1}))

        await face.generate({"prompt": "a cat", "n": 2}, **SDK)

        assert [task.fields["seed"] for task in await face.tasks()] == [-1, -1]

    async def test_seed_0_stays_0(self, face: Face) -> None:
        assert (await fields_of(face, seed=0))["seed"] == 0

    async def test_without_room_for_all_none_is_begun(self, face: Face) -> None:
        answer = await face.generate({"prompt": "a cat", "n": LIMITS.queue + 1})

        assert error_of(answer) == (503, None, "queue_full")
        assert answer.headers["x-should-retry"] == "true"
        assert int(answer.headers["retry-after"]) >= 1
        assert await face.tasks() == []

    async def test_one_that_fails_ends_the_others_and_the_call(self, face: Face) -> None:
        face.backend.pool.script = HANGS
        asked = asyncio.ensure_future(face.generate({"prompt": "a cat", "n": 2}, **SDK))
        task = await face.first_task()
        other = next(each for each in await face.tasks() if each.id != task.id)

        await face.backend.scheduler.cancel(other.id)

        answer = await asked
        assert error_of(answer) == (400, None, "cancelled")
        assert answer.json["detail"] == "Generation was cancelled"
        assert answer.headers["x-should-retry"] == "false"
        await face.backend.ended(task.id)
        assert (await face.backend.tasks.get(task.id)).state is TaskState.CANCELLED


class TestFields:
    async def test_size_is_resolution_aspect_ratio_and_pixels(self, face: Face) -> None:
        fields = await fields_of(face, size="1536x1024")

        assert {name: fields[name] for name in ("resolution", "aspect_ratio")} == {
            "resolution": "1536x1024",
            "aspect_ratio": "3:2",
        }
        assert (fields["width"], fields["height"]) == (1536, 1024)

    @pytest.mark.parametrize(
        ("size", "ratio"),
        [
            ("1024x1024", "1:1"),
            ("1792x1024", "16:9"),
            ("1024x1792", "9:16"),
            ("1024x768", "4:3"),
            ("768x1024", "3:4"),
            ("1x8192", "9:16"),
        ],
    )
    async def test_aspect_ratio_is_the_nearest_that_pipelines_know(
        self, face: Face, size: str, ratio: str
    ) -> None:
        assert (await fields_of(face, size=size))["aspect_ratio"] == ratio

    @pytest.mark.parametrize("size", [None, "auto", ""])
    async def test_size_auto_is_the_pipelines_own(self, face: Face, size: str | None) -> None:
        own = {"type": "string", "default": "640x640"}
        face.backend.admission.open(declared(resolution=own))

        fields = await fields_of(face, size=size)

        assert fields["resolution"] == "640x640"
        assert "width" not in fields

    async def test_size_is_1024x1024_where_nobody_says(self, face: Face) -> None:
        fields = await fields_of(face)

        assert (fields["resolution"], fields["aspect_ratio"]) == ("1024x1024", "1:1")
        assert fields["output_format"] == "png"

    @pytest.mark.parametrize("style", ["vivid", "natural"])
    async def test_style_model_and_negative_prompt_reach_the_pipeline(
        self, face: Face, style: str
    ) -> None:
        asked = {"style": style, "model": "dall-e-3", "negative_prompt": "dogs"}

        assert asked.items() <= (await fields_of(face, **asked)).items()

    @pytest.mark.parametrize("length", [1, 32_000])
    async def test_prompt_may_be_as_long_as_the_official_one(self, face: Face, length: int) -> None:
        assert (await fields_of(face, prompt="画" * length))["prompt"] == "画" * length

    async def test_kind_is_the_one_that_makes_images_of_words_alone(self, face: Face) -> None:
        kinds = {"supported_tasks": ["t2v", "i2i", "edit"]}
        face.backend.admission.open(PipelineContract.parse(kinds, stem="painter"))

        await fields_of(face)

        assert [task.kind for task in await face.tasks()] == ["edit"]

    async def test_size_is_named_for_a_pipeline_that_knows_names_alone(self, face: Face) -> None:
        names = {"type": "string", "enum": ["480p", "720p"]}
        face.backend.admission.open(declared(resolution=names))

        assert (await fields_of(face, size="1280x768"))["resolution"] == "720p"
        assert error_of(await face.generate({"prompt": "p", "size": "4096x4096"})) == (
            422,
            "size",
            "invalid_value",
        )

    @pytest.mark.parametrize(
        "quality", ["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd", None]
    )
    async def test_every_quality_is_taken(self, face: Face, quality: str | None) -> None:
        wanted = quality if quality != "auto" else None

        assert (await fields_of(face, quality=quality)).get("quality") == wanted

    @pytest.mark.parametrize(
        "body",
        [
            {"style": "vivid", "user": "me", "safety_identifier": "x", "moderation": "low"},
            {"complexity": "high", "frame_count": 4, "frame_duration_ms": 100},
            {"svg": {"model": "m"}, "output_format": "svg", "output_compression": 50},
            {"background": "transparent"},
            {"model": "no-such-model"},
            {"n": None, "stream": None, "partial_images": None, "seed": None},
        ],
    )
    async def test_official_field_that_no_pipeline_knows_is_no_fault(
        self, face: Face, body: dict[str, Any]
    ) -> None:
        await fields_of(face, **body)

    async def test_field_that_the_contract_declares_reaches_the_pipeline(self, face: Face) -> None:
        fields = await fields_of(face, steps=7, something=8)

        assert fields["steps"] == 7
        assert "something" not in fields

    @pytest.mark.parametrize(
        ("enum", "made"), [([], "jpeg"), (["png", "jpg"], "jpg"), (["png"], "png")]
    )
    async def test_task_writes_the_wanted_format_if_it_can(
        self, face: Face, enum: list[str], made: str
    ) -> None:
        parameter = {"type": "string", "default": "png", "enum": enum}
        face.backend.admission.open(declared(output_format=parameter))

        assert (await fields_of(face, output_format="jpeg"))["output_format"] == made


class TestRefusal:
    @pytest.mark.parametrize(
        ("body", "param", "code"),
        [
            ({}, "prompt", "missing_required_parameter"),
            ({"prompt": None}, "prompt", "missing_required_parameter"),
            ({"prompt": ""}, "prompt", "invalid_value"),
            ({"prompt": "x" * 32_001}, "prompt", "invalid_value"),
            ({"prompt": "x" * 100_000}, "prompt", "invalid_value"),
            ({"prompt": 7}, "prompt", "invalid_value"),
            ({"n": 0}, "n", "invalid_value"),
            ({"n": 11}, "n", "invalid_value"),
            ({"n": True}, "n", "invalid_value"),
            ({"size": "1024"}, "size", "invalid_value"),
            ({"size": "0x10"}, "size", "invalid_value"),
            ({"size": "8193x1"}, "size", "invalid_value"),
            ({"size": "banana"}, "size", "invalid_value"),
            ({"quality": "best"}, "quality", "invalid_value"),
            ({"style": "noir"}, "style", "invalid_value"),
            ({"response_format": "png"}, "response_format", "invalid_value"),
            ({"output_format": "bmp"}, "output_format", "invalid_value"),
            ({"output_compression": 101}, "output_compression", "invalid_value"),
            ({"background": "blue"}, "background", "invalid_value"),
            ({"partial_images": 4}, "partial_images", "invalid_value"),
            ({"seed": -1}, "seed", "invalid_value"),
            ({"seed": 2**63}, "seed", "invalid_value"),
            ({"steps": 51}, "steps", "invalid_value"),
        ],
    )
    async def test_wrong_field_is_422_and_named(
        self, face: Face, body: dict[str, Any], param: str, code: str
    ) -> None:
        given = body if body.get("prompt", 1) != 1 or not body else {"prompt": "a cat"} | body

        answer = await face.generate(given)

        assert error_of(answer) == (422, param, code)
        assert answer.json["detail"][0]["loc"] == ["body", param]
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert await face.tasks() == []

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'{"n":1e999}'])
    async def test_body_that_is_no_json_object_is_422(self, face: Face, body: bytes) -> None:
        status, param, _ = error_of(await face.generate(body))

        assert status == 422
        assert param in (None, "")

    async def test_pipeline_without_images_is_400(self, face: Face) -> None:
        films = PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="films")
        face.backend.admission.open(films)

        answer = await face.generate({"prompt": "a cat"})

        assert error_of(answer) == (400, "model", "unsupported_task")
        assert answer.json["supported_tasks"] == ["t2v"]

    async def test_before_the_pipeline_is_loaded_it_is_503(self, tmp_path: Any) -> None:
        async with Backend(tmp_path) as backend:
            answer = await Face(backend).generate({"prompt": "a cat"})

        assert error_of(answer)[0] == 503
        assert answer.headers["x-should-retry"] == "true"

    async def test_failed_task_is_500_that_nobody_should_retry(self, face: Face) -> None:
        face.backend.pool.script = replace(DRAWS, error=OutOfMemory("Out of memory"))

        answer = await face.generate({"prompt": "a cat"})

        assert error_of(answer) == (500, None, "out_of_memory")
        assert answer.json["detail"] == "Generation failed: Out of memory"
        assert answer.headers["x-should-retry"] == "false"

    async def test_task_that_took_too_long_is_504(self, face: Face) -> None:
        face.backend.pool.script = replace(DRAWS, error=TaskTimeout(3))

        answer = await face.generate({"prompt": "a cat"})

        assert (answer.status, answer.headers["x-should-retry"]) == (504, "false")

    async def test_task_that_made_no_file_is_500(self, face: Face) -> None:
        nothing = {"supported_tasks": ["t2i"], "task_contracts": {"t2i": {"media_type": "none"}}}
        face.backend.admission.open(PipelineContract.parse(nothing, stem="painter"))

        answer = await face.generate({"prompt": "a cat"})

        assert answer.status == 500
        assert answer.json["detail"] == "Generation completed but no output path found"

    async def test_unknown_image_is_404(self, face: Face) -> None:
        answer = await face.content("none")

        assert error_of(answer) == (404, None, "not_found")
        assert answer.json["detail"] == "Image none not found"

    async def test_video_is_no_image(self, face: Face) -> None:
        await face.backend.run_to_end("film")

        assert (await face.content("film")).status == 404

    async def test_image_that_is_not_made_yet_is_400(self, face: Face) -> None:
        face.backend.pool.script = HANGS
        call = face.begin({"prompt": "a cat"})
        task = await face.first_task()

        answer = await face.content(task.id)

        call.cancel()
        assert error_of(answer) == (400, None, "image_not_ready")
        assert answer.json["detail"] == f"Image {task.id} is not ready (status: processing)"
        assert answer.headers["x-should-retry"] == "false"


class TestEnd:
    async def test_caller_who_goes_away_ends_the_task(self, face: Face) -> None:
        face.backend.pool.script = HANGS
        call = face.begin({"prompt": "a cat", "n": 2})
        await face.first_task()

        await cut(call)

        for task in await face.tasks():
            await face.backend.ended(task.id)
            assert (await face.backend.tasks.get(task.id)).state is TaskState.CANCELLED

    async def test_limit_ends_the_task_with_504(self, face: Face) -> None:
        face.backend.pool.script = HANGS
        use = face.backend.use_cases
        patient = ImageTasks(
            tasks=use.tasks,
            admission=use.admission,
            attendance=Attendance(use.tasks),
            limit_seconds=0.01,
        )
        wish = TaskRequest(kind="t2i", fields={"prompt": "a cat"})
        tasks = await patient.admit([wish], Repetition(resends=0))

        with pytest.raises(GenerationTimeout, match=r"after 0\.01 seconds") as caught:
            async with patient.attended(tasks, may_return=True):
                await patient.ended(tasks)

        assert caught.value.http_status == 504
        await face.backend.ended(tasks[0].id)
        assert (await face.backend.tasks.get(tasks[0].id)).state is TaskState.CANCELLED

    @pytest.mark.parametrize(("task_seconds", "waited"), [(3600, 3600), (7200, 7200), (30, 600)])
    def test_limit_follows_that_of_a_run_but_is_no_shorter_than_an_sdks(
        self, task_seconds: float, waited: float
    ) -> None:
        assert longest_wait(Limits(task_seconds=task_seconds)) == waited

    async def test_caller_who_goes_away_during_the_admission_leaves_no_task(
        self, face: Face
    ) -> None:
        face.backend.pool.script = HANGS
        use = face.backend.use_cases
        tasks = ImageTasks(
            tasks=use.tasks,
            admission=use.admission,
            attendance=Attendance(use.tasks),
            limit_seconds=60,
        )
        wish = TaskRequest(kind="t2i", fields={"prompt": "a cat"})
        admitting = asyncio.ensure_future(tasks.admit([wish], Repetition()))
        await asyncio.sleep(0)  # it has begun, and waits for the store

        admitting.cancel()

        await asyncio.wait({admitting})
        task = await face.first_task()
        await face.backend.ended(task.id)
        assert (await face.backend.tasks.get(task.id)).state is TaskState.CANCELLED


class TestRepetition:
    async def test_idempotency_key_gives_the_same_images(self, face: Face) -> None:
        first, again = [
            await face.generate({"prompt": "a cat", "n": 2}, **{"idempotency-key": "k"})
            for _ in range(2)
        ]

        assert first.json == again.json
        assert len(await face.tasks()) == 2

    async def test_idempotency_key_of_another_request_is_409(self, face: Face) -> None:
        await face.generate({"prompt": "a cat"}, **{"idempotency-key": "k"})

        answer = await face.generate({"prompt": "a dog"}, **{"idempotency-key": "k"})

        assert error_of(answer) == (409, None, "request_id_reused")
        assert answer.headers["x-should-retry"] == "false"

    async def test_idempotency_key_that_is_too_long_is_422(self, face: Face) -> None:
        answer = await face.generate({"prompt": "a cat"}, **{"idempotency-key": "k" * 129})

        assert error_of(answer)[:2] == (422, "Idempotency-Key")

    async def test_silent_retry_of_an_sdk_gets_the_first_tasks(self, face: Face) -> None:
        gate = asyncio.Event()
        face.backend.pool.script = replace(DRAWS, gates={1: gate})
        call = face.begin({"prompt": "a cat", "n": 2}, **SDK)
        await face.first_task()
        await cut(call)

        again = asyncio.ensure_future(
            face.generate({"prompt": "a cat", "n": 2}, **{"x-stainless-retry-count": "1"})
        )
        gate.set()

        tasks = await face.tasks()
        assert [item["url"].split("/")[3] for item in (await again).json["data"]] == [
            task.id for task in tasks
        ]
        assert len(await face.tasks()) == 2

    async def test_same_wish_of_an_sdk_is_another_task(self, face: Face) -> None:
        for _ in range(2):
            await face.generate({"prompt": "a cat"}, **SDK)

        assert len(await face.tasks()) == 2

    async def test_retry_of_another_client_is_another_task(self, face: Face) -> None:
        await face.generate({"prompt": "a cat"}, **SDK, **{"x-forwarded-for": "10.0.0.1"})
        headers = {"x-stainless-retry-count": "1", "x-forwarded-for": "10.0.0.2"}

        await face.generate({"prompt": "a cat"}, **headers)

        assert len(await face.tasks()) == 2
