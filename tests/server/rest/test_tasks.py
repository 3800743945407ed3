"""The documented REST face of tasks, byte for byte."""

import base64
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.task_service_pb2 import GetTaskRequest
from telefuser_grpc.domain.contract import Enforcement, PipelineContract
from telefuser_grpc.domain.media_source import public_source
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import (
    PipelineFailed,
    ReplicaDied,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
)
from telefuser_grpc.server.rest.bodies import MAX_DEPTH, ErrorFormat
from telefuser_grpc.server.rest.tasks import status_body
from tests.fakes.builders import ended, make_task, started
from tests.fakes.media_files import still, wav
from tests.fakes.replicas import FakePool, Script
from tests.server.backend import COMPLETES, HANGS, Backend
from tests.server.rest.gateway import Answer, Gateway

BALL = {"task": "t2v", "prompt": "a red ball"}
PICTURE = "data:image/png;base64," + base64.b64encode(still()).decode()
RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2")
LEGACY = PipelineContract.legacy("t2v", stem="old")


class TestCreate:
    async def test_answer_is_the_documented_one(self, backend: Backend, gateway: Gateway) -> None:
        answer = await gateway.create(BALL | {"task_id": "t1"})

        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.body == (
            b'{"task_id":"t1","task_status":"pending","output_path":"t1.mp4",'
            b'"peak_memory_mb":null,"inference_time_s":null}'
        )

    async def test_fields_that_nobody_knows_reach_the_pipeline(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        extra = {"shift": 5.0, "seeds": [2**53 + 1, None], "nested": {"a": {"b": True}}}

        await gateway.create(BALL | extra | {"task_id": "t1"})

        fields = (await backend.started("t1")).job.fields
        assert {name: fields[name] for name in extra} == extra
        assert repr(fields["shift"]) == "5.0"

    async def test_generic_defaults_fill_what_nobody_has_given(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        await gateway.create(BALL | {"task_id": "t1", "resolution": "480p"})

        fields = (await backend.started("t1")).job.fields
        assert fields == {
            "task": "t2v",
            "task_id": "t1",
            "prompt": "a red ball",
            "aspect_ratio": "16:9",
            "resolution": "480p",
            "seed": 42,
            "target_video_length": 5,
            "output_format": "png",
            "steps": 4,
            "guidance": 7.5,
        }

    @pytest.mark.parametrize(
        ("seed", "taken"),
        [(2**53 + 1, 2**53 + 1), ("7", 7), (True, 1), (3.0, 3), (-(2**63), -(2**63))],
    )
    async def test_seed_is_read_laxly_and_stays_exact(
        self, backend: Backend, gateway: Gateway, seed: Any, taken: int
    ) -> None:
        await gateway.create(BALL | {"task_id": "t1", "seed": seed})

        assert (await backend.started("t1")).job.fields["seed"] == taken

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("aspect_ratio", each) for each in RATIOS),
            *(("resolution", each) for each in ("480p", "1080p", "2k", "4k", "640x480", "any")),
            *(("target_video_length", each) for each in (0, -1, 10**9)),
            ("negative_prompt", "blur"),
        ],
    )
    async def test_documented_field_reaches_the_pipeline_as_given(
        self, backend: Backend, gateway: Gateway, name: str, value: Any
    ) -> None:
        await gateway.create(BALL | {"task_id": "t1", name: value})

        assert (await backend.started("t1")).job.fields[name] == value

    @pytest.mark.parametrize("name", ["png", "jpg", "jpeg", "webp"])
    async def test_output_format_is_the_ending_of_an_image_alone(
        self, gateway: Gateway, name: str
    ) -> None:
        image, video = [
            (
                await gateway.create(BALL | {"task": kind, "task_id": kind, "output_format": name})
            ).json
            for kind in ("t2i", "t2v")
        ]

        assert (image["output_path"], video["output_path"]) == (f"t2i.{name}", "t2v.mp4")

    async def test_kind_of_any_name_is_taken_where_the_contract_declares_it(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        backend.open(PipelineContract.parse({"supported_tasks": ["relight_2"]}, stem="p"))

        await gateway.create({"task": " Relight_2", "prompt": "p", "task_id": "t1"})

        assert (await backend.started("t1")).job.kind == "relight_2"

    async def test_chosen_id_that_is_empty_is_none(self, gateway: Gateway) -> None:
        answer = await gateway.create(BALL | {"task_id": "", "output_path": ""})

        assert re.fullmatch(r"task_[0-9a-z]{26}", answer.json["task_id"])
        assert answer.json["output_path"] == f"{answer.json['task_id']}.mp4"

    async def test_sound_is_kept_as_an_input_like_pictures_and_videos(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        sound = "data:audio/wav;base64," + base64.b64encode(wav()).decode()

        await gateway.create(BALL | {"task_id": "t1", "audio_path": sound})

        job = (await backend.started("t1")).job
        assert Path(job.inputs["audio_path"]).read_bytes() == wav()

    async def test_kind_is_stripped_and_lowered(self, backend: Backend, gateway: Gateway) -> None:
        await gateway.create(BALL | {"task": " T2V ", "task_id": "t1"})

        assert (await backend.started("t1")).job.kind == "t2v"

    @pytest.mark.parametrize(
        ("fields", "loc", "kind"),
        [
            ({"seed": "abc"}, ["body", "seed"], "int_parsing"),
            ({"seed": 1.5}, ["body", "seed"], "int_from_float"),
            ({"seed": 2**63}, ["body", "seed"], "less_than_equal"),
            ({"seed": -(2**63) - 1}, ["body", "seed"], "greater_than_equal"),
            ({"aspect_ratio": "5:4"}, ["body", "aspect_ratio"], "enum"),
            ({"output_format": "bmp"}, ["body", "output_format"], "enum"),
            ({"first_image_path": None}, ["body", "first_image_path"], "string_type"),
            ({"last_image_path": None}, ["body", "last_image_path"], "string_type"),
            ({"ref_video_path": 1}, ["body", "ref_video_path"], "string_type"),
            ({"audio_path": []}, ["body", "audio_path"], "string_type"),
            ({"target_video_length": "long"}, ["body", "target_video_length"], "int_parsing"),
            ({"resolution": 720}, ["body", "resolution"], "string_type"),
            ({"prompt": 123}, ["body", "prompt"], "string_type"),
            ({"task": "No Kind"}, ["body", "task"], "value_error"),
            ({"task_id": "my id!"}, ["body", "task_id"], "string_pattern_mismatch"),
            ({"steps": 99}, ["body", "steps"], "less_than_equal"),
            ({"steps": "4"}, ["body", "steps"], "integer_type"),
            ({"mode": "slow"}, ["body", "mode"], "enum"),
            ({"style": "x" * 32_001}, ["body", "style"], "string_too_long"),
        ],
    )
    async def test_wrong_field_is_named_with_422(
        self, gateway: Gateway, fields: dict[str, Any], loc: list[str], kind: str
    ) -> None:
        answer = await gateway.create(BALL | fields)

        assert answer.status == 422
        assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
        assert answer.faults == [(loc, kind)]
        assert answer.detail[0]["msg"]
        assert set(answer.json) == {"detail"}

    async def test_every_wrong_field_is_named(self, gateway: Gateway) -> None:
        answer = await gateway.create(BALL | {"seed": "x", "output_format": 1})

        assert answer.faults == [
            (["body", "seed"], "int_parsing"),
            (["body", "output_format"], "enum"),
        ]

    async def test_missing_input_wins_over_a_missing_prompt(self, gateway: Gateway) -> None:
        answer = await gateway.create({"task": "i2v"})

        assert answer.status == 400
        assert answer.json == {
            "detail": [
                {
                    "type": "missing_input",
                    "loc": ["body", "first_image_path"],
                    "msg": "Task 'i2v' is missing required inputs",
                }
            ],
            "message": "Task 'i2v' is missing required inputs",
            "required_inputs": ["first_image_path"],
            "missing_inputs": ["first_image_path"],
        }

    @pytest.mark.parametrize("prompt", [{}, {"prompt": ""}])
    async def test_missing_parameter_has_the_helper_keys(
        self, gateway: Gateway, prompt: dict[str, str]
    ) -> None:
        answer = await gateway.create({"task": "t2v"} | prompt)

        assert answer.status == 400
        assert answer.faults == [(["body", "prompt"], "missing_parameter")]
        assert answer.json["message"] == "Task 't2v' is missing required parameters"
        assert answer.json["required_parameters"] == ["prompt"]
        assert answer.json["missing_parameters"] == ["prompt"]

    async def test_unsupported_task_has_the_helper_keys(self, gateway: Gateway) -> None:
        answer = await gateway.create(BALL | {"task": "s2v"})

        assert answer.status == 400
        assert answer.faults == [(["body", "task"], "unsupported")]
        message = "Task 's2v' is not supported by the current pipeline"
        assert answer.json["message"] == message
        assert answer.json["supported_tasks"] == ["t2v", "i2v", "t2i"]

    async def test_missing_prompt_without_a_contract_is_422(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        backend.open(LEGACY)

        answer = await gateway.create({"task": "t2v"})

        assert (answer.status, answer.faults) == (422, [(["body", "prompt"], "missing")])

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/etc/x.mp4", "Absolute paths are not allowed"),
            ("../../x.mp4", "Path escapes the service cache directory"),
        ],
    )
    async def test_output_path_outside_is_400(
        self, gateway: Gateway, path: str, message: str
    ) -> None:
        answer = await gateway.create(BALL | {"output_path": path})

        assert (answer.status, answer.detail[0]["msg"]) == (400, message)
        assert answer.detail[0]["loc"] == ["body", "output_path"]

    @pytest.mark.parametrize("image", ["/etc/passwd", "data:image/png;base64,AAAA"])
    async def test_unusable_input_is_400(
        self, backend: Backend, gateway: Gateway, image: str
    ) -> None:
        answer = await gateway.create(
            {"task": "i2v", "prompt": "p", "first_image_path": image, "task_id": "t1"}
        )

        assert answer.status == 400
        assert answer.faults == [(["body", "first_image_path"], "input_rejected")]
        assert not list((backend.root / "tasks").glob("t1/inputs/*"))

    @pytest.mark.parametrize(
        "field", ["first_image_path", "last_image_path", "ref_video_path", "audio_path"]
    )
    async def test_address_that_is_not_fetched_is_400_with_a_message(
        self, backend: Backend, gateway: Gateway, field: str
    ) -> None:
        answer = await gateway.create(
            {"task": "i2v", "prompt": "p", "first_image_path": PICTURE}
            | {field: "http://127.0.0.1/a.png"}
        )

        assert answer.status == 400
        assert answer.detail[0]["loc"] == ["body", field]
        assert answer.detail[0]["msg"].startswith(f"{field} URL is not accessible")
        assert answer.json["message"].startswith(f"{field} URL is not accessible")
        assert not list((backend.root / "tasks").glob("*/inputs/*"))

    async def test_too_large_input_is_413(self, gateway: Gateway) -> None:
        image = "data:image/png;base64," + "A" * 200_000

        answer = await gateway.create({"task": "i2v", "prompt": "p", "first_image_path": image})

        assert answer.status == 413

    async def test_taken_id_is_409(self, backend: Backend, gateway: Gateway) -> None:
        await gateway.create(BALL | {"task_id": "t1"})

        answer = await gateway.create(BALL | {"task_id": "t1"})

        assert answer.status == 409
        assert answer.body == b'{"detail": "Task ID t1 already exists"}'

    async def test_full_queue_is_503_with_a_time_to_return(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        for _ in range(3):
            await gateway.create(BALL)

        answer = await gateway.create(BALL)

        assert answer.status == 503
        assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answer.body == b'{"detail": "Task queue is full (max 3 tasks)"}'
        assert int(answer.headers["retry-after"]) >= 1

    async def test_lost_replicas_are_503(self, backend: Backend, gateway: Gateway) -> None:
        backend.pool.respawns = False
        backend.pool.replicas[0].die()

        answer = await gateway.create(BALL)

        assert (answer.status, answer.detail) == (
            503,
            "No inference capacity: all pipeline replicas are dead",
        )

    async def test_full_disk_is_507(self, backend: Backend, gateway: Gateway) -> None:
        backend.tasks.full = True

        answer = await gateway.create(BALL)

        assert (answer.status, answer.headers["retry-after"]) == (507, "30")

    async def test_pipeline_that_still_loads_is_503(self, loading: Backend) -> None:
        answer = await Gateway(loading).create(BALL)

        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert answer.detail.startswith("No service is initialized")


class TestTask:
    """Which task a request stands for that names none."""

    @pytest.mark.parametrize("supported", [["t2v", "t2i"], ["t2i", "t2v"]])
    async def test_request_without_task_and_media_is_t2v_where_there_is_one(
        self, backend: Backend, gateway: Gateway, supported: list[str]
    ) -> None:
        backend.open(PipelineContract.parse({"supported_tasks": supported}, stem="p"))

        await gateway.create({"prompt": "p", "task_id": "t1"})

        assert (await backend.started("t1")).job.kind == "t2v"

    async def test_request_without_task_is_the_first_that_needs_no_media_where_t2v_is_none(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        declared = {"supported_tasks": ["i2i", "t2i"]}
        backend.open(PipelineContract.parse(declared, stem="p"))

        await gateway.create({"prompt": "p", "task_id": "t1"})

        assert (await backend.started("t1")).job.kind == "t2i"

    async def test_task_is_inferred_from_media(self, backend: Backend, gateway: Gateway) -> None:
        await gateway.create({"prompt": "p", "task_id": "t1", "first_image_path": PICTURE})

        assert (await backend.started("t1")).job.kind == "i2v"

    async def test_request_that_fits_no_task_is_400_with_the_helper_keys(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        backend.open(PipelineContract.parse({"supported_tasks": ["i2v"]}, stem="p"))

        answer = await gateway.create({"prompt": "p"})

        assert (answer.status, answer.faults) == (400, [(["body", "task"], "not_inferred")])
        assert answer.json["message"] == (
            "Could not infer a compatible task for the uploaded inputs"
        )
        assert (answer.json["candidate_tasks"], answer.json["supported_tasks"]) == ([], ["i2v"])

    @pytest.mark.parametrize("kind", ["x", "T-2-V", "2tv", "t" * 33, " ", "тв"])
    async def test_malformed_task_is_422(self, gateway: Gateway, kind: str) -> None:
        answer = await gateway.create(BALL | {"task": kind})

        if kind.strip():
            assert (answer.status, answer.faults) == (422, [(["body", "task"], "value_error")])
        else:
            assert answer.status == 200


class TestPrompt:
    """Mandatory, unless the contract says otherwise."""

    @pytest.mark.parametrize("given", [{}, {"prompt": ""}])
    async def test_contract_that_is_silent_of_prompts_needs_one(
        self, backend: Backend, gateway: Gateway, given: dict[str, str]
    ) -> None:
        backend.open(PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="p"))

        answer = await gateway.create(given)

        assert (answer.status, answer.faults) == (400, [(["body", "prompt"], "missing_parameter")])
        assert answer.json["required_parameters"] == answer.json["missing_parameters"] == ["prompt"]

    @pytest.mark.parametrize("declared", [{"required": False}, {"exposed": False}])
    async def test_contract_may_need_no_prompt(
        self, backend: Backend, gateway: Gateway, declared: dict[str, bool]
    ) -> None:
        backend.open(_contract(prompt=declared))

        assert (await gateway.create({"task": "t2v"})).status == 200

    async def test_default_of_nothing_does_not_satisfy_a_required_prompt(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        backend.open(_contract(prompt={"required": True, "default": ""}))

        answer = await gateway.create({"task": "t2v"})

        assert (answer.status, answer.faults) == (400, [(["body", "prompt"], "missing_parameter")])

    async def test_task_that_makes_no_file_needs_no_prompt(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        declared = {
            "supported_tasks": ["check"],
            "task_contracts": {"check": {"media_type": "none"}},
        }
        backend.open(PipelineContract.parse(declared, stem="p"))

        assert (await gateway.create({"task": "check"})).status == 200


class TestOrderOfChecks:
    """Form before task before inputs before parameters before values before what is there."""

    @pytest.mark.parametrize(
        ("body", "status", "kind"),
        [
            ({"task": "vsr", "seed": "x"}, 422, "int_parsing"),
            ({"task": "vsr", "prompt": ""}, 400, "unsupported"),
            ({"task": "i2v", "prompt": "", "output_path": "/a"}, 400, "missing_input"),
            ({"task": "t2v", "prompt": "", "steps": 99}, 400, "missing_parameter"),
            (
                {"task": "t2v", "prompt": "p", "steps": 99, "output_path": "/a"},
                422,
                "less_than_equal",
            ),
            (
                {"task": "t2v", "prompt": "p", "output_path": "/a", "task_id": "taken"},
                400,
                "output_path",
            ),
            ({"task": "i2v", "prompt": "p", "task_id": "taken"}, 400, "missing_input"),
        ],
    )
    async def test_first_fault_wins(
        self, gateway: Gateway, body: dict[str, Any], status: int, kind: str
    ) -> None:
        await gateway.create(BALL | {"task_id": "taken"})

        answer = await gateway.create(body)

        assert (answer.status, answer.faults[0][1]) == (status, kind)

    async def test_taken_id_wins_over_a_full_queue_and_over_media(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        for task_id in ("taken", "", ""):
            await gateway.create(BALL | {"task_id": task_id})

        media = {"task": "i2v", "first_image_path": "/etc/passwd"}
        taken = await gateway.create(BALL | media | {"task_id": "taken"})
        full = await gateway.create(BALL | media)

        assert (taken.status, full.status) == (409, 503)


class TestIdempotency:
    async def test_same_key_gives_the_same_task(self, gateway: Gateway) -> None:
        first, second = [await gateway.create(BALL, idempotency_key="k1") for _ in range(2)]

        assert first.json["task_id"] == second.json["task_id"]

    async def test_repetition_tells_the_state_of_now(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        task_id = (await gateway.create(BALL, idempotency_key="k1")).json["task_id"]
        await backend.started(task_id)

        again = await gateway.create(BALL, idempotency_key="k1")

        assert (again.status, again.json["task_status"]) == (200, "processing")

    async def test_same_key_and_another_body_is_409(self, gateway: Gateway) -> None:
        await gateway.create(BALL, idempotency_key="k1")

        answer = await gateway.create(BALL | {"seed": 1}, idempotency_key="k1")

        assert answer.status == 409

    async def test_key_that_is_too_long_is_422_and_named(self, gateway: Gateway) -> None:
        answer = await gateway.create(BALL, idempotency_key="k" * 129)

        assert (answer.status, answer.faults) == (
            422,
            [(["header", "Idempotency-Key"], "string_too_long")],
        )


class TestEnforcement:
    async def test_relaxed_contract_lets_undeclared_values_pass(self, tmp_path: Path) -> None:
        async with Backend(tmp_path, enforcement=Enforcement.RELAXED) as backend:
            backend.open()
            wrong = {"steps": "99", "mode": "slow", "guidance": None, "task_id": "t1"}

            answer = await Gateway(backend).create(BALL | wrong)

            assert answer.status == 200
            fields = (await backend.started("t1")).job.fields
            assert (fields["steps"], fields["mode"]) == ("99", "slow")

    async def test_relaxed_contract_still_needs_what_it_requires(self, tmp_path: Path) -> None:
        async with Backend(tmp_path, enforcement=Enforcement.RELAXED) as backend:
            backend.open()

            assert (await Gateway(backend).create({"task": "i2v"})).status == 400

    async def test_what_the_service_tells_a_pipeline_cannot_be_given(
        self, gateway: Gateway
    ) -> None:
        answer = await gateway.create(BALL | {"latent_data": {}})

        assert (answer.status, answer.faults) == (
            422,
            [(["body", "latent_data"], "extra_forbidden")],
        )


class TestUpstreamErrors:
    """The other form of errors, for clients that were written for it."""

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (
                {"task": "vsr"},
                {
                    "message": "Task 'vsr' is not supported by the current pipeline",
                    "supported_tasks": ["t2v", "i2v", "t2i"],
                },
            ),
            (
                {"task": "i2v"},
                {
                    "message": "Task 'i2v' is missing required inputs",
                    "required_inputs": ["first_image_path"],
                    "missing_inputs": ["first_image_path"],
                },
            ),
            (
                {"task": "t2v"},
                {
                    "message": "Task 't2v' is missing required parameters",
                    "required_parameters": ["prompt"],
                    "missing_parameters": ["prompt"],
                },
            ),
            (BALL | {"output_path": "/a.mp4"}, "Absolute paths are not allowed"),
        ],
    )
    async def test_refusal_of_the_contract_is_an_object_or_a_text(
        self, tmp_path: Path, body: dict[str, Any], detail: Any
    ) -> None:
        async with Backend(tmp_path, error_format=ErrorFormat.UPSTREAM) as backend:
            backend.open()

            answer = await Gateway(backend).create(body)

            assert (answer.status, answer.json) == (400, {"detail": detail})

    @pytest.mark.parametrize("body", [b"", BALL | {"seed": "x"}, BALL | {"steps": 99}])
    async def test_malformed_request_is_the_list(self, tmp_path: Path, body: Any) -> None:
        async with Backend(tmp_path, error_format=ErrorFormat.UPSTREAM) as backend:
            backend.open()

            answer = await Gateway(backend).create(body)

            assert answer.status == 422
            assert {"loc", "msg", "type"} <= answer.detail[0].keys()


class TestStatus:
    async def test_waiting_task_has_nulls(self, backend: Backend, gateway: Gateway) -> None:
        await gateway.create(BALL | {"task_id": "running"})
        await gateway.create(BALL | {"task_id": "t1"})

        answer = await gateway.status("t1")

        assert answer.status == 200
        assert answer.body == (
            b'{"task_id":"t1","status":"pending","start_time":"2026-01-02T03:04:05",'
            b'"end_time":null,"error":null,"output_path":"t1.mp4","peak_memory_mb":null,'
            b'"inference_time_s":null,"task":"t2v","prompt":"a red ball","resolution":"720p",'
            b'"target_video_length":5,"aspect_ratio":"16:9","output_format":"png",'
            b'"media_type":"video","created_at":"2026-01-02T03:04:05Z","started_at":null,'
            b'"finished_at":null,"attempt":0,"progress":null,"last_sequence":1}'
        )

    async def test_completed_task_keeps_its_relative_output(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        backend.pool.script = COMPLETES
        await gateway.create(BALL | {"task_id": "t1", "output_path": "a/b.mp4"})
        await backend.ended("t1")

        body = (await gateway.status("t1")).json

        assert body["status"] == "completed"
        assert body["output_path"] == "a/b.mp4"
        assert (body["error"], body["inference_time_s"]) == (None, 1.0)
        assert (body["start_time"], body["end_time"]) == ("2026-01-02T03:04:05",) * 2
        assert body["progress"] == {"step": 4, "steps": 4, "stage": "denoising"}

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (PipelineFailed("The pipeline raised ValueError"), "The pipeline raised ValueError"),
            (TaskTimeout(3600), "Task processing timeout"),
        ],
    )
    async def test_failed_task_says_why(
        self, backend: Backend, gateway: Gateway, error: TaskFailed, text: str
    ) -> None:
        backend.pool.script = Script(error=error)
        await gateway.create(BALL | {"task_id": "t1"})
        await backend.ended("t1")

        body = (await gateway.status("t1")).json

        assert (body["status"], body["error"]) == ("failed", text)

    @pytest.mark.parametrize("state", [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED])
    async def test_ended_task_says_when_and_what_it_took(self, state: TaskState) -> None:
        body = status_body(ended(started(make_task()), state))

        measured = (1.5, 2048.0) if state is TaskState.COMPLETED else (None, None)
        assert (body["end_time"], body["finished_at"]) == (
            "2026-01-02T03:04:07",
            "2026-01-02T03:04:07Z",
        )
        assert (body["inference_time_s"], body["peak_memory_mb"]) == measured

    async def test_request_comes_back_but_for_what_was_left_empty(self, gateway: Gateway) -> None:
        given = {
            "prompt": "a red ball",
            "negative_prompt": "blur",
            "resolution": "480p",
            "target_video_length": 3,
            "aspect_ratio": "1:1",
            "output_format": "webp",
            "model": "any",
        }

        await gateway.create({"task": "t2i", "task_id": "all", "unknown": "x"} | given)
        await gateway.create(BALL | {"task_id": "few", "negative_prompt": "", "model": ""})

        full, plain = [(await gateway.status(task_id)).json for task_id in ("all", "few")]
        assert full | given | {"task": "t2i", "media_type": "image"} == full
        assert plain.keys().isdisjoint({"negative_prompt", "model", "first_image_path"})
        assert "unknown" not in full

    async def test_media_come_back_as_handles_only(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        await gateway.create(
            {"task": "i2v", "prompt": "p", "first_image_path": PICTURE, "task_id": "t1"}
        )

        answer = await gateway.status("t1")

        assert PICTURE[30:60].encode() not in answer.body
        assert answer.json["first_image_path"].startswith("first_image_path_")
        assert str(backend.root).encode() not in answer.body

    async def test_address_of_an_input_comes_back_without_what_is_secret_in_it(self) -> None:
        source = public_source("https://user:key@a.example/b/c.png?signature=s#f")
        task = make_task(
            inputs={"first_image_path": "first.png", "ref_video_path": "ref.mp4"},
            sources={"first_image_path": source},
        )

        body = status_body(task)

        assert body["first_image_path"] == "https://a.example/b/c.png"
        assert body["ref_video_path"] == "ref.mp4"

    async def test_documented_keys_come_first(self) -> None:
        assert list(status_body(make_task()))[:6] == [
            "task_id",
            "status",
            "start_time",
            "end_time",
            "error",
            "output_path",
        ]

    async def test_start_time_is_the_creation_until_processing_begins(self) -> None:
        waiting, running = make_task(), started(make_task())

        assert status_body(waiting)["start_time"] == "2026-01-02T03:04:05"
        assert status_body(running)["start_time"] == "2026-01-02T03:04:06"
        assert status_body(running)["created_at"] == "2026-01-02T03:04:05Z"
        assert status_body(running)["started_at"] == "2026-01-02T03:04:06Z"

    @pytest.mark.parametrize(
        ("task", "word"),
        [
            (make_task(), "pending"),
            (started(make_task()), "processing"),
            (ended(started(make_task())), "completed"),
            (ended(started(make_task()), TaskState.FAILED), "failed"),
            (ended(started(make_task()), TaskState.CANCELLED), "cancelled"),
        ],
    )
    async def test_states_have_the_documented_words(self, task: Task, word: str) -> None:
        assert status_body(task)["status"] == word

    async def test_task_that_is_being_stopped_is_still_processing(self) -> None:
        assert status_body(started(make_task()).cancelling())["status"] == "processing"

    async def test_task_that_waits_again_after_a_death_has_no_error(self) -> None:
        task = started(make_task()).requeue(ReplicaDied("Replica 0 died"))

        assert (status_body(task)["status"], status_body(task)["error"]) == ("pending", None)

    async def test_text_beyond_ascii_is_utf_8(self, backend: Backend, gateway: Gateway) -> None:
        await gateway.create(BALL | {"task_id": "t1", "prompt": "红球 🟥"})

        assert '"prompt":"红球 🟥"'.encode() in (await gateway.status("t1")).body

    async def test_unknown_id_is_404(self, gateway: Gateway) -> None:
        answer = await gateway.status("none")

        assert (answer.status, answer.body) == (404, b'{"detail": "Task not found"}')


class TestDelete:
    async def test_waiting_and_running_tasks_are_accepted(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        await gateway.create(BALL | {"task_id": "running"})
        await backend.started("running")
        await gateway.create(BALL | {"task_id": "waiting"})

        for task_id in ("waiting", "running"):
            answer = await gateway.delete(task_id)

            assert answer.status == 200
            assert answer.body == (
                b'{"stop_status":"success","reason":"Task cancellation accepted."}'
            )
            assert (await backend.ended(task_id)).error.message == "Task cancelled by user"

    @pytest.mark.parametrize(
        ("error", "word"),
        [
            (None, "completed"),
            (PipelineFailed("no"), "failed"),
            (TaskCancelled(), "cancelled"),
        ],
    )
    async def test_ended_task_is_left_alone(
        self, backend: Backend, gateway: Gateway, error: TaskFailed | None, word: str
    ) -> None:
        await backend.run_to_end("t1", Script(error=error))

        answer = await gateway.delete("t1")

        assert answer.status == 200
        assert answer.body == (
            f'{{"stop_status":"do_nothing","reason":"Task already terminal: {word}."}}'.encode()
        )
        assert (await gateway.status("t1")).json["status"] == word

    async def test_unknown_id_is_200(self, gateway: Gateway) -> None:
        answer = await gateway.delete("none")

        assert answer.status == 200
        assert answer.body == b'{"stop_status":"do_nothing","reason":"Task not found."}'

    async def test_cancel_that_cannot_be_kept_is_an_error_with_200(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        await gateway.create(BALL | {"task_id": "running"})
        await gateway.create(BALL | {"task_id": "t1"})
        backend.tasks.full = True

        answer = await gateway.delete("t1")

        backend.tasks.full = False
        assert answer.status == 200
        assert answer.json["stop_status"] == "error"
        assert "disk is full" in answer.json["reason"]


class TestQueue:
    async def test_counts_running_tasks_as_active_only(
        self, backend: Backend, gateway: Gateway
    ) -> None:
        for task_id in ("a", "b"):
            await gateway.create(BALL | {"task_id": task_id})
        await backend.started("a")

        answer = await _queue(gateway)

        assert answer.body == (
            b'{"is_processing":true,"current_task":"a","pending_count":1,"active_count":1,'
            b'"queue_size":3,"queue_available":1}'
        )

    async def test_current_task_is_the_first_of_those_that_run(self, tmp_path: Path) -> None:
        pool = FakePool(replicas=2, script=HANGS)
        async with Backend(tmp_path, pool=pool) as backend:
            backend.open()
            gateway = Gateway(backend)
            for task_id in ("b", "a"):
                await gateway.create(BALL | {"task_id": task_id})
                await backend.started(task_id)

            queue = (await _queue(gateway)).json

        assert (queue["current_task"], queue["active_count"]) == ("b", 2)
        assert (queue["pending_count"], queue["queue_available"]) == (0, 1)

    async def test_empty_queue_has_zeros_and_null(self, gateway: Gateway) -> None:
        assert (await _queue(gateway)).body == (
            b'{"is_processing":false,"current_task":null,"pending_count":0,"active_count":0,'
            b'"queue_size":3,"queue_available":3}'
        )


async def test_native_callers_can_read_what_rest_callers_made(
    backend: Backend, gateway: Gateway
) -> None:
    deepest = _nested(MAX_DEPTH - 2)
    values = {"big": 10**299, "small": -(10**30), "list": [2**64, None], "deep": deepest}

    answer = await gateway.create(BALL | {"task_id": "t1"} | values)

    assert answer.status == 200
    task = (await backend.task_service.GetTask(GetTaskRequest(task_id="t1"))).task
    assert json_format.MessageToDict(task.parameters)["deep"] == deepest
    assert task.parameters["big"] == 1e299


def _contract(**parameters: dict[str, Any]) -> PipelineContract:
    entry = {"parameters": parameters}
    declared = {"supported_tasks": ["t2v"], "task_contracts": {"t2v": entry}}
    return PipelineContract.parse(declared, stem="p")


def _nested(levels: int) -> dict[str, Any]:
    return {"a": _nested(levels - 1)} if levels else {}


async def _queue(gateway: Gateway) -> Answer:
    return await gateway.ask(gateway.tasks.GetQueueStatus, pb.GetQueueStatusRequest())
