"""Forms: what becomes a task, what is refused, and that nothing is left of a refusal."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as pb
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.server.rest.form_parts import MAX_PARTS
from telefuser_grpc.server.rest.forms import FILE_FIELDS, MAX_TEXT_BYTES
from tests.fakes.media_files import mp4, noise, png_bomb, still, wav
from tests.server.backend import COMPLETES, MAX_UPLOAD_BYTES, Backend
from tests.server.rest.gateway import Answer, Gateway, body_requests, transcoded

PICTURE = ("a.png", still(), "image/png")
FILM = ("a.mp4", mp4(), "video/mp4")
SOUND = ("a.wav", wav(), "audio/wav")
BOUNDARY = "b"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"
CONTRACT = PipelineContract.parse(
    {
        "supported_tasks": ["t2i", "t2v", "i2v", "fl2v", "vc", "s2v"],
        "task_contracts": {
            "i2v": {"parameters": {"code": {"type": "string"}}},
            "s2v": {"required_inputs": ["first_image_path", "audio_path"]},
            "t2v": {
                "parameters": {
                    "prompt": {"required": True},
                    "steps": {"type": "integer", "minimum": 1, "maximum": 8},
                    "guidance": {"type": "number"},
                    "loop": {"type": "boolean"},
                    "tags": {"type": "array"},
                    "camera": {"type": "object"},
                    "code": {"type": "string"},
                }
            },
        },
    },
    stem="forms",
)


@pytest.fixture
def gateway(loading: Backend) -> Gateway:
    loading.open(CONTRACT)
    return Gateway(loading)


def what_is_left(backend: Backend) -> list[Path]:
    return [path for path in backend.root.rglob("*") if path.is_file()]


async def fields_of(backend: Backend, answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict((await backend.tasks.get(answer.json["task_id"])).fields)


def part(head: str, data: bytes = b"x") -> bytes:
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"


def text_part(name: str, data: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', data)


END = f"--{BOUNDARY}--\r\n".encode()


class TestTask:
    async def test_answer_is_that_of_create(self, gateway: Gateway) -> None:
        answer = await gateway.form({"prompt": "p", "task": "t2v", "task_id": "t1"})

        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.body == (
            b'{"task_id":"t1","task_status":"pending","output_path":"t1.mp4",'
            b'"peak_memory_mb":null,"inference_time_s":null}'
        )

    async def test_file_becomes_an_input_of_the_task(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p", "task": "i2v", "task_id": "t1"}, {"first_image_file": PICTURE}
        )

        assert answer.status == 200
        job = (await loading.started("t1")).job
        assert Path(job.inputs["first_image_path"]).read_bytes() == still()

    async def test_uploads_live_only_as_long_as_the_request(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        await gateway.form({"prompt": "p", "task_id": "t1"}, {"first_image_file": PICTURE})

        assert [path.relative_to(loading.root).parts[0] for path in what_is_left(loading)] == [
            "tasks"
        ]

    @pytest.mark.parametrize(
        ("files", "kind", "inputs"),
        [
            ({"first_image_file": PICTURE}, "i2v", {"first_image_path"}),
            (
                {"first_image_file": PICTURE, "last_image_file": PICTURE},
                "fl2v",
                {"first_image_path", "last_image_path"},
            ),
            ({"ref_video_file": FILM}, "vc", {"ref_video_path"}),
            ({"first_image_file": FILM}, "vc", {"ref_video_path"}),
            (
                {"first_image_file": PICTURE, "audio_file": SOUND},
                "s2v",
                {"first_image_path", "audio_path"},
            ),
        ],
    )
    async def test_task_is_inferred_from_the_files(
        self,
        loading: Backend,
        gateway: Gateway,
        files: dict[str, Any],
        kind: str,
        inputs: set[str],
    ) -> None:
        answer = await gateway.form({"prompt": "p"}, files)

        assert answer.status == 200, answer.body
        task = await loading.tasks.get(answer.json["task_id"])
        assert (task.kind, set(task.inputs)) == (kind, inputs)

    async def test_form_without_files_is_the_first_task_that_needs_none(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        answer = await gateway.form({"prompt": "p"})

        assert (await loading.tasks.get(answer.json["task_id"])).kind == "t2i"

    async def test_text_reference_counts_as_an_input_too(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        upload = await _upload(loading, still())

        answer = await gateway.form({"prompt": "p", "first_image_path": f"upload:{upload}"})

        assert (await loading.tasks.get(answer.json["task_id"])).kind == "i2v"

    async def test_urlencoded_form_is_taken(self, loading: Backend, gateway: Gateway) -> None:
        answer = await gateway.post_form(
            URLENCODED + "; charset=utf-8", [b"prompt=ein+roter%20B", b"all+%C3%BC&task=t2v"]
        )

        assert (await fields_of(loading, answer))["prompt"] == "ein roter Ball ü"

    async def test_multipart_may_come_in_any_pieces(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        body = text_part("prompt", "ein Ball ü".encode()) + text_part("task", b"t2v") + END

        answer = await gateway.post_form(MULTIPART, [bytes([byte]) for byte in body])

        assert (await fields_of(loading, answer))["prompt"] == "ein Ball ü"


class TestFields:
    async def test_empty_texts_are_dropped(self, loading: Backend, gateway: Gateway) -> None:
        data = {"prompt": "p", "task": "t2v", "resolution": "", "style": "", "task_id": ""}

        for files in (None, {"audio_file": SOUND}):
            answer = await gateway.form(data | {"first_image_file": ""}, files)

            fields = await fields_of(loading, answer)
            assert fields["resolution"] == "720p"
            assert fields.keys().isdisjoint({"style", "first_image_file", "task_id"})

    @pytest.mark.parametrize("name", ["first_image_file", "mask_file"])
    async def test_file_that_was_not_chosen_is_dropped(
        self, loading: Backend, gateway: Gateway, name: str
    ) -> None:
        head = f'Content-Disposition: form-data; name="{name}"; filename=""'
        unchosen = part(f"{head}\r\nContent-Type: application/octet-stream", b"")

        answer = await gateway.post_form(MULTIPART, [text_part("prompt", b"p") + unchosen + END])

        assert (await loading.tasks.get(answer.json["task_id"])).inputs == {}

    async def test_repeated_keys_become_a_list(self, loading: Backend, gateway: Gateway) -> None:
        answer = await gateway.form({"prompt": "p", "task": "t2v", "word": ["a", "", "2"]})

        assert (await fields_of(loading, answer))["word"] == ["a", 2]

    async def test_documented_fields_are_read_by_their_own_types(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        answer = await gateway.form(
            {
                "prompt": "123",
                "negative_prompt": "true",
                "task": " T2V ",
                "seed": "7",
                "target_video_length": "3",
            }
        )

        fields = await fields_of(loading, answer)
        assert (fields["prompt"], fields["negative_prompt"]) == ("123", "true")
        assert (fields["seed"], fields["target_video_length"]) == (7, 3)

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("steps", "4", 4),
            ("guidance", "4", 4),
            ("guidance", " 0.5", 0.5),
            ("loop", "On", True),
            ("loop", "0", False),
            ("code", "007", "007"),
            ("code", "null", "null"),
            ("tags", "a", ["a"]),
            ("tags", '["a", 1]', ["a", 1]),
            ("tags", ["a", "b"], ["a", "b"]),
            ("camera", '{"pan": 1.5}', {"pan": 1.5}),
        ],
    )
    async def test_declared_parameters_are_read_by_their_declared_types(
        self, loading: Backend, gateway: Gateway, name: str, text: str, value: Any
    ) -> None:
        answer = await gateway.form({"prompt": "p", "task": "t2v", name: text})

        assert (await fields_of(loading, answer))[name] == value

    @pytest.mark.parametrize(
        ("data", "files"),
        [({"task": " T2V "}, None), ({"task": "i2v"}, PICTURE), ({}, PICTURE)],
    )
    async def test_types_are_those_of_the_task_also_of_an_inferred_one(
        self, loading: Backend, gateway: Gateway, data: dict[str, str], files: Any
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p", "code": "007"} | data, files and {"first_image_file": files}
        )

        assert (await fields_of(loading, answer))["code"] == "007"

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("TRUE", True),
            ("False", False),
            ("null", None),
            ("-12", -12),
            ("1e3", 1000.0),
            (".5", 0.5),
            ('{"a": [1, null]}', {"a": [1, None]}),
            ('"quoted"', "quoted"),
            ("plain", "plain"),
            ("nan", "nan"),
            ("1e999", "1e999"),
            ("[NaN]", "[NaN]"),
            ("1_000", "1_000"),
            ("٣", "٣"),
            ("9" * 400, "9" * 400),
            ("[" * 600 + "]" * 600, "[" * 600 + "]" * 600),
        ],
    )
    async def test_undeclared_fields_are_guessed(
        self, loading: Backend, gateway: Gateway, text: str, value: Any
    ) -> None:
        answer = await gateway.form({"prompt": "p", "task": "t2v", "style": text})

        read = (await fields_of(loading, answer))["style"]
        assert (read, type(read)) == (value, type(value))

    @pytest.mark.parametrize(
        ("data", "loc", "kind"),
        [
            ({"steps": "x"}, ["body", "steps"], "integer_type"),
            ({"steps": "9"}, ["body", "steps"], "less_than_equal"),
            ({"steps": ["1", "2"]}, ["body", "steps"], "integer_type"),
            ({"loop": "maybe"}, ["body", "loop"], "boolean_type"),
            ({"camera": "[1]"}, ["body", "camera"], "object_type"),
            ({"seed": "abc"}, ["body", "seed"], "int_parsing"),
            ({"prompt": ["a", "b"]}, ["body", "prompt"], "string_type"),
            ({"aspect_ratio": "5:4"}, ["body", "aspect_ratio"], "enum"),
            ({"task": "no task"}, ["body", "task"], "value_error"),
            ({"task_id": "a/b"}, ["body", "task_id"], "string_pattern_mismatch"),
            ({"x" * 5000: "1"}, ["body", "x" * 100 + "…"], "name_too_long"),
        ],
    )
    async def test_wrong_field_is_named_with_422(
        self, gateway: Gateway, data: dict[str, Any], loc: list[str], kind: str
    ) -> None:
        answer = await gateway.form({"prompt": "p", "task": "t2v"} | data)

        assert (answer.status, answer.faults) == (422, [(loc, kind)])


class TestMedia:
    @pytest.mark.parametrize(
        ("filename", "content", "content_type", "field"),
        [
            ("a.png", mp4(), "image/png", "ref_video_path"),
            ("a.mp4", still(), "video/mp4", "first_image_path"),
            ("blob", mp4(), "application/octet-stream", "ref_video_path"),
        ],
    )
    async def test_content_decides_what_the_first_file_is(
        self,
        loading: Backend,
        gateway: Gateway,
        filename: str,
        content: bytes,
        content_type: str,
        field: str,
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": (filename, content, content_type)}
        )

        assert list((await loading.tasks.get(answer.json["task_id"])).inputs) == [field]

    @pytest.mark.parametrize(
        ("filename", "content_type", "field"),
        [
            ("a.MKV", "application/octet-stream", "ref_video_path"),
            ("a.mp4", "application/octet-stream", "ref_video_path"),
            ("a.avi", "", "ref_video_path"),
            ("a.mov", "application/octet-stream", "ref_video_path"),
            ("a.webm", "application/octet-stream", "ref_video_path"),
            ("a", "video/x-matroska", "ref_video_path"),
            ("a.wav", "audio/wav", "first_image_path"),
        ],
    )
    async def test_sender_decides_where_the_content_is_neither_image_nor_video(
        self, gateway: Gateway, filename: str, content_type: str, field: str
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": (filename, wav(), content_type)}
        )

        assert (answer.status, answer.faults) == (400, [(["body", field], "input_rejected")])

    async def test_last_image_must_not_be_a_video(self, loading: Backend, gateway: Gateway) -> None:
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": PICTURE, "last_image_file": FILM}
        )

        assert answer.status == 400
        assert answer.json == {
            "detail": [
                {
                    "type": "input_rejected",
                    "loc": ["body", "last_image_file"],
                    "msg": "last_image_file must be an image upload",
                }
            ],
            "message": "last_image_file must be an image upload",
        }
        assert what_is_left(loading) == []

    @pytest.mark.parametrize("content", [b"no media at all", b"", png_bomb()])
    async def test_file_that_is_no_media_is_400_and_names_its_field(
        self, loading: Backend, gateway: Gateway, content: bytes
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": ("a.png", content, "image/png")}
        )

        assert answer.status == 400
        assert answer.faults == [(["body", "first_image_file"], "input_rejected")]
        assert what_is_left(loading) == []

    async def test_too_large_file_is_413_and_names_the_limit(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        content = noise()
        assert len(content) > MAX_UPLOAD_BYTES

        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": ("a.png", content, "image/png")}
        )

        assert (answer.status, answer.faults) == (
            413,
            [(["body", "first_image_file"], "input_rejected")],
        )
        assert str(MAX_UPLOAD_BYTES) in answer.detail[0]["msg"]
        assert what_is_left(loading) == []

    async def test_unknown_file_is_422_and_names_the_known_ones(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": PICTURE, "mask_file": PICTURE}
        )

        assert (answer.status, answer.faults) == (422, [(["body", "mask_file"], "extra_forbidden")])
        for known in FILE_FIELDS:
            assert known in answer.detail[0]["msg"]
        assert what_is_left(loading) == []

    @pytest.mark.parametrize("files", [None, {"audio_file": SOUND}])
    async def test_text_in_place_of_a_file_is_422_and_says_how_to_send_one(
        self, gateway: Gateway, files: dict[str, Any] | None
    ) -> None:
        answer = await gateway.form({"prompt": "p", "first_image_file": "a.png"}, files)

        assert (answer.status, answer.faults) == (
            422,
            [(["body", "first_image_file"], "file_type")],
        )
        assert "@" in answer.detail[0]["msg"]

    @pytest.mark.parametrize(
        ("data", "files", "field"),
        [
            ({"first_image_path": "upload:1"}, {"first_image_file": PICTURE}, "first_image_path"),
            ({}, {"first_image_file": FILM, "ref_video_file": FILM}, "ref_video_path"),
            ({}, [("audio_file", SOUND), ("audio_file", SOUND)], "audio_file"),
        ],
    )
    async def test_input_given_twice_is_422(
        self, loading: Backend, gateway: Gateway, data: dict[str, str], files: Any, field: str
    ) -> None:
        answer = await gateway.form({"prompt": "p"} | data, files)

        assert (answer.status, answer.faults) == (422, [(["body", field], "duplicate")])
        assert what_is_left(loading) == []


class TestRefusals:
    async def test_inputs_that_fit_no_task_are_400_with_the_helper_keys(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        answer = await gateway.form({"prompt": "p"}, {"audio_file": SOUND})

        assert (answer.status, answer.faults) == (400, [(["body", "task"], "not_inferred")])
        assert {name: answer.json[name] for name in answer.json if name != "detail"} == {
            "message": "Could not infer a compatible task for the uploaded inputs",
            "candidate_tasks": [],
            "supported_tasks": ["t2i", "t2v", "i2v", "fl2v", "vc", "s2v"],
        }
        assert what_is_left(loading) == []

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            ({"task": "vsr"}, "unsupported"),
            ({"task": "fl2v"}, "missing_input"),
            ({"task": "i2v", "prompt": ""}, "missing_parameter"),
            ({"task": "i2v", "output_path": "/a.mp4"}, "output_path"),
        ],
    )
    async def test_refused_task_leaves_nothing_of_its_files(
        self, loading: Backend, gateway: Gateway, data: dict[str, str], kind: str
    ) -> None:
        answer = await gateway.form({"prompt": "p"} | data, {"first_image_file": PICTURE})

        assert answer.status == 400
        assert answer.faults[0][1] == kind
        assert what_is_left(loading) == []

    async def test_taken_id_is_409_and_leaves_nothing(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        await gateway.form({"prompt": "p", "task_id": "t1"})

        answer = await gateway.form({"prompt": "p", "task_id": "t1"}, {"first_image_file": PICTURE})

        assert (answer.status, answer.detail) == (409, "Task ID t1 already exists")
        assert what_is_left(loading) == []

    async def test_full_queue_is_503_before_a_file_is_read(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        for _ in range(3):
            await gateway.form({"prompt": "p"})

        answer = await asyncio.wait_for(_post_without_end(gateway), 10)

        assert (answer.status, answer.detail) == (503, "Task queue is full (max 3 tasks)")
        assert int(answer.headers["retry-after"]) >= 1

    async def test_file_below_the_reserve_of_the_disk_is_507_and_leaves_nothing(
        self, tmp_path: Path
    ) -> None:
        async with Backend(tmp_path, reserve_bytes=2**60) as backend:
            backend.open(CONTRACT)

            answer = await Gateway(backend).form({"prompt": "p"}, {"first_image_file": PICTURE})

            assert (answer.status, answer.headers["retry-after"]) == (507, "30")
            assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert answer.detail.startswith("The server's disk is full")
            assert not (backend.root / "uploads").exists()

    async def test_pipeline_that_still_loads_is_503(self, loading: Backend) -> None:
        answer = await Gateway(loading).form({"prompt": "p"})

        assert (answer.status, answer.headers["retry-after"]) == (503, "5")

    @pytest.mark.parametrize(
        "content_type",
        ["", "application/json", "text/plain; boundary=b", "multipart/mixed; boundary=b", "мульти"],
    )
    async def test_other_kind_of_body_is_415_and_names_the_right_ones(
        self, gateway: Gateway, content_type: str
    ) -> None:
        answer = await gateway.post_form(content_type, [b"{}"])

        assert answer.status == 415
        assert "multipart/form-data" in answer.detail
        assert "application/x-www-form-urlencoded" in answer.detail

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", b""),
            ("multipart/form-data; boundary=", b""),
            ("multipart/form-data; boundary=" + "b" * 300, b""),
            (MULTIPART, b""),
            (MULTIPART, b"no form at all"),
            (MULTIPART, text_part("prompt", b"p")),
            (MULTIPART, text_part("prompt", b"p")[:-3]),
            (MULTIPART, part("Content-Type: text/plain") + END),
            (MULTIPART, text_part("prompt", b"p") + part("Content-Type: text/plain") + END),
            (MULTIPART, part('Content-Disposition: form-data; filename="a"') + END),
            (MULTIPART, part('Content-Disposition: form-data; name=""') + END),
            (MULTIPART, part('Content-Disposition: attachment; name="prompt"') + END),
            (MULTIPART, part("\x01: x") + END),
            (MULTIPART, part("X: y\r\n" * 9) + END),
            (MULTIPART, part("X: " + "y" * 5000) + END),
            (
                MULTIPART,
                part('Content-Disposition: form-data; name="\xff"').replace(
                    "\xff".encode(), b"\xff"
                )
                + END,
            ),
            (MULTIPART, text_part("style", b"1") * (MAX_PARTS + 1) + END),
            (URLENCODED, b"&".join([b"a=1"] * (MAX_PARTS + 1))),
            (URLENCODED, b"prompt=%FF"),
            (URLENCODED, b"prompt=\xff"),
            (URLENCODED, b'{"prompt": "p"}'),
        ],
    )
    async def test_malformed_form_is_422_and_says_why_and_how_to_mend_it(
        self, loading: Backend, gateway: Gateway, content_type: str, body: bytes
    ) -> None:
        answer = await gateway.post_form(content_type, [body])

        assert (answer.status, answer.faults) == (422, [(["body"], "form_invalid")])
        _, why, remedy = re.split(": |; ", answer.detail[0]["msg"], maxsplit=2)
        assert "" not in (why, remedy)
        assert not remedy.endswith("…")
        assert what_is_left(loading) == []

    async def test_text_that_is_no_utf_8_names_its_field(self, gateway: Gateway) -> None:
        answer = await gateway.post_form(MULTIPART, [text_part("prompt", b"\xff") + END])

        assert (answer.status, answer.faults) == (422, [(["body", "prompt"], "string_unicode")])

    @pytest.mark.parametrize(
        ("content_type", "head", "field"),
        [(MULTIPART, text_part("prompt", b"p")[:-3], "prompt"), (URLENCODED, b"a=", "form")],
    )
    async def test_texts_beyond_the_limit_are_413_as_soon_as_they_are(
        self, gateway: Gateway, content_type: str, head: bytes, field: str
    ) -> None:
        pieces = [head] + [b"x" * 2**19] * (MAX_TEXT_BYTES // 2**19)

        answer = await gateway.post_form(content_type, pieces)

        assert (answer.status, answer.detail[0]["loc"]) == (413, ["body", field])

    async def test_truncated_file_leaves_nothing(self, loading: Backend, gateway: Gateway) -> None:
        head = part('Content-Disposition: form-data; name="audio_file"; filename="a.wav"', wav())

        answer = await gateway.post_form(MULTIPART, [head])

        assert answer.status == 422
        assert what_is_left(loading) == []

    async def test_caller_who_leaves_during_an_upload_leaves_nothing(
        self, loading: Backend, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sinks = _observe_sinks(loading, monkeypatch)
        body = (
            part('Content-Disposition: form-data; name="audio_file"; filename="a.wav"', wav())
            + part('Content-Disposition: form-data; name="ref_video_file"; filename="a"', mp4())
        )[:-4]
        call = gateway.tasks.CreateTaskFromForm(
            _requests_then(body, asyncio.Event()), metadata=transcoded()
        )
        assert [await sinks.get() for _ in range(2)] == ["audio_file", "ref_video_file"]
        whole = [path.name for path in what_is_left(loading)]

        call.cancel()

        assert [await sinks.get() for _ in range(2)] == ["ref_video_file left", "audio_file left"]
        assert sorted(whole) == ["content", "upload.json"]
        assert what_is_left(loading) == []
        assert set(loading.tasks.counts().values()) == {0}


class TestIdempotency:
    async def test_same_key_and_same_files_are_the_same_task(
        self, loading: Backend, gateway: Gateway
    ) -> None:
        first, second = [
            await gateway.form({"prompt": "p"}, {"first_image_file": PICTURE}, idempotency_key="k1")
            for _ in range(2)
        ]

        assert (first.status, second.status) == (200, 200)
        assert first.json["task_id"] == second.json["task_id"]

    async def test_same_key_and_another_file_is_409(self, gateway: Gateway) -> None:
        await gateway.form({"prompt": "p"}, {"first_image_file": PICTURE}, idempotency_key="k1")

        other = ("a.png", still(width=9), "image/png")
        answer = await gateway.form(
            {"prompt": "p"}, {"first_image_file": other}, idempotency_key="k1"
        )

        assert answer.status == 409

    async def test_repeated_form_is_answered_also_when_the_queue_is_full(
        self, gateway: Gateway
    ) -> None:
        first = await gateway.form({"prompt": "p"}, idempotency_key="k1")
        for _ in range(2):
            await gateway.form({"prompt": "p"})

        again = await gateway.form({"prompt": "p"}, idempotency_key="k1")

        assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])


@given(
    content_type=st.sampled_from([MULTIPART, URLENCODED]),
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    b"--b\r\n",
                    b"\r\n--b\r\n",
                    b"\r\n--b--",
                    b"\r\n\r\n",
                    b'Content-Disposition: form-data; name="prompt"',
                    b'Content-Disposition: form-data; name="first_image_file"; filename="a"',
                    b"Content-Type: video/mp4\r\n",
                    b"task=t2v&prompt=a",
                    b"&seed=%",
                    still(),
                ]
            ),
        ),
        max_size=12,
    ),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_no_bytes_are_a_fault_of_the_server(
    loading: Backend, gateway: Gateway, content_type: str, pieces: list[bytes]
) -> None:
    loading.pool.script = COMPLETES

    answer = await gateway.post_form(content_type, pieces or [b""])

    assert answer.status < 500 or answer.detail.startswith("Task queue is full")
    assert list(loading.root.glob("uploads/*")) == []


async def _upload(backend: Backend, content: bytes) -> str:
    async with backend.uploads.receive() as sink:
        await sink.write(content)
        return (await sink.finish()).id


def _observe_sinks(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[str]:
    """Tells of each sink when it is opened and when it is left."""
    told: asyncio.Queue[str] = asyncio.Queue()
    receive = backend.uploads.receive

    @asynccontextmanager
    async def observed(*, field: str, **promise: Any) -> AsyncIterator[Any]:
        try:
            async with receive(field=field, **promise) as sink:
                told.put_nowait(field)
                yield sink
        finally:
            told.put_nowait(f"{field} left")

    monkeypatch.setattr(backend.uploads, "receive", observed)
    return told


async def _post_without_end(gateway: Gateway) -> Answer:
    never = asyncio.Event()
    requests = _requests_then(text_part("prompt", b"p"), never)
    return await gateway.ask(gateway.tasks.CreateTaskFromForm, requests)


async def _requests_then(
    head: bytes, event: asyncio.Event
) -> AsyncIterator[pb.CreateTaskFromFormRequest]:
    for request in body_requests(pb.CreateTaskFromFormRequest, MULTIPART, [head]):
        yield request
    await event.wait()
