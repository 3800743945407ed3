"""Wan2.1 text-to-video, served with a tiny model."""

from collections.abc import Iterator

import pytest

from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {"width": 80, "height": 64, "num_frames": 9, "num_inference_steps": 3}
STEPS = 30


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan import save_wan21_t2v

    folder = tmp_path_factory.mktemp("wan21_t2v")
    with serve("wan21_t2v_1_3b.py", folder, save_wan21_t2v) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(80, 64)] * 9
    assert made.fps == 16
    assert made.steps == [1, 2, 3]


def test_previews_come_with_the_steps(served: Served) -> None:
    made = served.make(**CLIP)

    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    served.cancel_at_first_step(**CLIP | {"num_inference_steps": 50})

    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_cancel_stops_the_clip(served: Served) -> None:
    assert served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100}) == "cancelled"


def test_clips_that_wait_are_made_together_and_one_is_cancelled_in_the_middle(
    served: Served,
) -> None:
    long = CLIP | {"num_inference_steps": STEPS}
    for seed in (1, 2):  # how long one takes alone is measured first
        served.make(**long, seed=seed)
    tasks: list[str] = []
    before = served.create(**CLIP | {"num_inference_steps": 100})
    served.at_first_step(
        before, lambda: tasks.extend(served.create(**long, seed=seed) for seed in (1, 2, 3))
    )
    served.cancel(before)

    served.at_first_step(tasks[1], lambda: served.cancel(tasks[1]))
    cancelled = served.follow(tasks[1])

    (batch,) = served.service.log.events("tasks are made together")
    assert batch["tasks"] == tasks[:2]
    assert cancelled[-1].data["status"] == "cancelled"
    assert 0 < [event.name for event in cancelled].count("progress") < STEPS
    for task in (tasks[0], tasks[2]):
        made = served.made(task)
        assert made.frames == [(80, 64)] * 9
        assert made.steps == [*range(1, STEPS + 1)]
        assert [event.name for event in made.events].count("preview") > 1


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 10})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
