"""What a pipeline yields comes out in one form, or with a sentence that names the key."""

import base64
import datetime
import io
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.domain.session import Picture, Sound
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.stream_chunks import DEEPEST, to_chunk
from telefuser_grpc.server.convert import struct_of

RED = np.full((2, 4, 3), (255, 0, 0), np.uint8)
RED_PICTURE = Picture(width=4, height=2, rgb=bytes([255, 0, 0] * 8))


@pytest.mark.parametrize(
    "frame",
    [
        RED,
        RED.astype(np.float32) / 255,
        Image.fromarray(RED),
        Image.fromarray(RED).convert("RGBA"),
        av.VideoFrame.from_ndarray(RED, format="rgb24"),
    ],
    ids=["uint8", "float", "pil", "rgba", "av"],
)
def test_every_kind_of_frame_becomes_a_picture(frame: Any) -> None:
    chunk = to_chunk({"type": "chunk", "index": 3, "fps": 16, "frames": [frame, frame]}, number=0)

    assert chunk.pictures == (RED_PICTURE, RED_PICTURE)
    assert (chunk.index, chunk.fps) == (3, 16)
    assert chunk.data == {"type": "chunk", "index": 3, "fps": 16}


def test_an_array_of_frames_is_frames() -> None:
    chunk = to_chunk({"type": "chunk", "frames": np.stack([RED, RED])}, number=0)

    assert chunk.pictures == (RED_PICTURE, RED_PICTURE)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_files_in_base64_become_pictures(prefix: str) -> None:
    chunk = to_chunk({"type": "chunk", "frames_b64": [prefix + _png()]}, number=0)

    assert chunk.pictures == (RED_PICTURE,)
    assert chunk.data == {"type": "chunk"}


@pytest.mark.parametrize("frames", [[RED, RED], []])
def test_frames_go_before_their_files(frames: list[Any]) -> None:
    chunk = to_chunk({"type": "chunk", "frames": frames, "frames_b64": [_png()]}, number=0)

    assert len(chunk.pictures) == (len(frames) or 1)


def test_sound_is_mono_of_48_khz_unless_it_says_otherwise() -> None:
    text = base64.b64encode(b"\1\2\3\4").decode()
    plain = to_chunk({"type": "chunk", "audio_b64": text}, number=0)
    stereo = to_chunk(
        {"type": "chunk", "audio_b64": text, "audio_sample_rate": 16_000, "audio_channels": 2},
        number=0,
    )

    assert plain.sound == Sound(pcm=b"\1\2\3\4", sample_rate=48_000, channels=1)
    assert stereo.sound == Sound(pcm=b"\1\2\3\4", sample_rate=16_000, channels=2)
    assert stereo.data == {"type": "chunk"}


def test_media_may_be_under_data() -> None:
    nested = {"type": "chunk", "index": 1, "data": {"frames": [RED], "prompt": "a", "fps": 8}}

    chunk = to_chunk(nested, number=0)

    assert chunk.pictures == (RED_PICTURE,)
    assert chunk.fps == 8
    assert chunk.data == {"type": "chunk", "index": 1, "prompt": "a", "fps": 8}


def test_data_without_media_stay_where_they_are() -> None:
    told = {"type": "status", "stage": "ready", "data": {"steps": 4}}

    assert to_chunk(told, number=0).data == told


def test_a_chunk_that_names_no_number_has_the_next_one() -> None:
    assert to_chunk({"type": "chunk"}, number=7).index == 7
    assert to_chunk({"type": "preview", "index": -1}, number=7).index == -1


def test_values_that_json_cannot_say_become_text() -> None:
    told = {
        "type": "status",
        "one": np.int64(4),
        "half": np.float32(0.5),
        "yes": np.bool_(True),
        "huge": 2**80,
        "nan": float("nan"),
        "day": datetime.date(2026, 1, 2),
        "deep": {1: (np.uint8(2), {"x"})},
        "array": np.zeros(2),
        "odd": "\udcff",
        "fine": np.longdouble(0.5),
    }

    assert to_chunk(told, number=0).data == {
        "type": "status",
        "one": 4,
        "half": 0.5,
        "yes": True,
        "huge": 2**80,
        "nan": "nan",
        "day": "2026-01-02",
        "deep": {"1": [2, "{'x'}"]},
        "array": "[0. 0.]",
        "odd": "?",
        "fine": "0.5",
    }


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"type": None}, 'type: a chunk must say it, such as "chunk" or "status"'),
        ({"index": "one"}, "index: must be a whole number"),
        ({"index": 2**64}, "index: must be a whole number"),
        ({"fps": 0}, "fps: must be a number greater than 0"),
        ({"fps": "fast"}, "fps: must be a number greater than 0"),
        ({"frames": RED}, "frames: must be a list of PIL images, frames of PyAV or arrays"),
        ({"frames": "abc"}, "frames: must be a list of PIL images, frames of PyAV or arrays"),
        (
            {"frames": [np.zeros(3, np.uint8)]},
            "frames: Frame 0 has the shape (3,); give (height, width, 3), or PIL images",
        ),
        (
            {"frames": [RED, np.zeros((2, 4, 3), np.int64)]},
            "frames: Frame 1 holds int64; give uint8, or floats of 0 to 1",
        ),
        ({"frames_b64": "abc"}, "frames_b64: must be a list of base64 texts"),
        ({"frames_b64": ["AAAA", "%%"]}, "frames_b64[0]: no picture that can be decoded"),
        ({"frames_b64": ["%%"]}, "frames_b64[0]: no base64 text"),
        ({"frames_b64": [7]}, "frames_b64[0]: no base64 text"),
        ({"audio_b64": "%"}, "audio_b64: no base64 text"),
        ({"audio_b64": "AAAA"}, "audio_b64: 3 bytes are no whole number of 16 bit samples of 1"),
        ({"audio_b64": "AAA=", "audio_sample_rate": 0}, "audio_sample_rate: must be a whole"),
        ({"audio_b64": "AAA=", "audio_channels": "2"}, "audio_channels: must be a whole number"),
    ],
)
def test_a_broken_chunk_names_its_key(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OutputInvalid) as broken:
        to_chunk({"type": "chunk", "index": 0, **wrong}, number=0)

    assert broken.value.message.startswith(sentence)


def test_what_is_no_dict_is_no_chunk() -> None:
    with pytest.raises(OutputInvalid, match="A chunk must be a dict with a type, not list"):
        to_chunk([], number=0)


def test_a_chunk_that_contains_itself_is_refused() -> None:
    chunk: dict[str, Any] = {"type": "chunk"}
    chunk["self"] = chunk

    with pytest.raises(OutputInvalid, match=f"nested more than {DEEPEST} deep"):
        to_chunk(chunk, number=0)


def test_deepest_chunk_can_be_read_by_clients_of_every_face() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEEPEST - 1):
        deep = {"in": deep}

    data = to_chunk({"type": "chunk", "deep": deep}, number=0).data
    answer = pb.InteractResponse(chunk=pb.SessionChunk(data=struct_of(data)))

    assert pb.InteractResponse.FromString(answer.SerializeToString()) == answer


def _png() -> str:
    file = io.BytesIO()
    Image.fromarray(RED).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
