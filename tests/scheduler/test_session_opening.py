"""What a pipeline is told of a session, by its mode."""

from typing import Any

import pytest

from telefuser_grpc.domain.session import StreamFacts, StreamMode
from telefuser_grpc.errors import InvalidFields
from telefuser_grpc.scheduler.session_opening import Opening

PUSH = StreamFacts(mode=StreamMode.SERVER_PUSH)
BOTH = StreamFacts(mode=StreamMode.BIDIRECTIONAL)


def test_push_request_is_everything_but_nulls_and_has_the_session_as_its_task() -> None:
    opening = Opening(fields={"task": "t2v", "prompt": None, "extra": 2**70, "task_id": "other"})

    assert opening.push_request("s1") == {
        "task": "t2v",
        "extra": 2**70,
        "session_id": "s1",
        "task_id": "s1",
    }


def test_push_request_keeps_a_config_that_there_is() -> None:
    opening = Opening(fields={"task": "t2v"}, config={"depth": None})

    assert opening.push_request("s1")["config"] == {"depth": None}


def test_fields_beat_config_in_the_config_of_a_session() -> None:
    opening = Opening(
        fields={"prompt": "a cave", "task": "world"},
        config={"prompt": "a hill", "seed": 7, "session_id": "mine", "type": "world"},
    )

    assert opening.session_config("s1") == {
        "prompt": "a cave",
        "task": "world",
        "seed": 7,
        "type": "world",
        "session_id": "s1",
    }


@pytest.mark.parametrize(
    ("facts", "fields", "config", "fps"),
    [
        (BOTH, {"fps": 12}, {"fps": 8}, 12.0),
        (BOTH, {"fps": None}, {"fps": 8}, 8.0),
        (PUSH, {}, {"fps": 8}, 24.0),
        (StreamFacts(mode=StreamMode.SERVER_PUSH, default_fps=10), {}, None, 10.0),
        (StreamFacts(mode=StreamMode.BIDIRECTIONAL, default_fps=0), {}, {}, 24.0),
    ],
)
def test_fps_is_the_first_that_is_said(
    facts: StreamFacts, fields: dict[str, Any], config: dict[str, Any] | None, fps: float
) -> None:
    assert Opening(fields=fields, config=config).fps(facts) == fps


@pytest.mark.parametrize("fps", [0, -1, 241, float("nan"), float("inf"), True, "24", [24]])
def test_fps_that_nobody_can_show_is_refused_by_name(fps: Any) -> None:
    with pytest.raises(InvalidFields) as top:
        Opening(fields={"fps": fps}).fps(PUSH)
    with pytest.raises(InvalidFields) as nested:
        Opening(config={"fps": fps}).fps(BOTH)

    assert [each.value.violations[0].field for each in (top, nested)] == ["fps", "config.fps"]


@pytest.mark.parametrize("session_id", ["a/b", "../etc", " a", "ä", "a" * 129, "-a"])
def test_id_that_no_path_could_name_is_refused(session_id: str) -> None:
    with pytest.raises(InvalidFields, match="session_id: must begin with"):
        Opening(session_id=session_id)
