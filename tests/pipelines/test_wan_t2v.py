"""The larger Wan text-to-video models, every file served with a tiny one."""

from collections.abc import Iterator

import pytest

from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {"width": 80, "height": 64, "num_frames": 5, "num_inference_steps": 3}
MODELS = {"wan21_t2v_14b.py": "save_wan21_t2v", "wan22_t2v_a14b.py": "save_wan22_t2v"}


@pytest.fixture(scope="module", params=MODELS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    from tests.pipelines.tiny import wan

    folder = tmp_path_factory.mktemp("wan_t2v")
    with serve(request.param, folder, getattr(wan, MODELS[request.param])) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(80, 64)] * 5
    assert made.fps == 16
    assert made.steps == [1, 2, 3]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert served.make(**CLIP, seed=7).data == first.data != other.data
    assert ended == "cancelled"


@pytest.mark.parametrize(("field", "value"), [("num_frames", 82), ("height", 2000)])
def test_what_the_model_cannot_make_is_refused(served: Served, field: str, value: int) -> None:
    answer = served.post(**CLIP | {field: value})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]
