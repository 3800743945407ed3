"""HunyuanVideo text-to-video, served with a tiny model."""

from collections.abc import Iterator

import pytest

from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {"width": 80, "height": 64, "num_frames": 9, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.hunyuan import save_hunyuan_video_t2v

    folder = tmp_path_factory.mktemp("hunyuan_video_t2v")
    with serve("hunyuan_video_t2v.py", folder, save_hunyuan_video_t2v) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(80, 64)] * 9
    assert made.fps == 24
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_negative_prompt_counts_with_true_guidance(served: Served) -> None:
    plain = served.make(**CLIP, negative_prompt="a car", true_cfg_scale=1)
    steered = served.make(**CLIP, negative_prompt="a car", true_cfg_scale=6)

    assert steered.data != plain.data


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 10})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
