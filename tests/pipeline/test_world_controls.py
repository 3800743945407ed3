"""Messages of a client become what the next chunk obeys."""

import math
import threading
from typing import Any

import pytest

from telefuser_grpc.pipeline.world_controls import RESET, Controls, Inbox, Poses

UNIT = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def taken(inbox: Inbox) -> str:
    controls = inbox.take()
    assert controls is not None
    return "".join(controls.keys)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *((key, key) for key in "wsadikjl"),
        *((f"Key{key.upper()}", key) for key in "wsadikjl"),
        ("ArrowUp", "w"),
        ("ArrowDown", "s"),
        ("ArrowLeft", "j"),
        ("ArrowRight", "l"),
        ("up", "w"),
        ("down", "s"),
        ("left", "j"),
        ("right", "l"),
        ("forward", "w"),
        ("backward", "s"),
    ],
)
def test_key_has_several_names(name: str, key: str) -> None:
    inbox = Inbox()

    inbox.hear({"type": "control_state", "controls": [name]})

    assert inbox.held == (key,)


@pytest.mark.parametrize("field", ["key", "direction", "control"])
@pytest.mark.parametrize("event", [{}, {"action": "press"}, {"event": "press"}])
def test_press_may_be_said_in_several_ways(field: str, event: dict[str, str]) -> None:
    inbox = Inbox()

    inbox.hear({"type": "control", field: "w", **event})

    assert taken(inbox) == "w"


@pytest.mark.parametrize("event", ["release", "keyup", "end"])
def test_release_lets_go(event: str) -> None:
    inbox = Inbox()
    inbox.hear({"type": "control_state", "controls": ["w", "j"]})

    inbox.hear({"type": "control", "key": "w", "event": event})

    assert inbox.held == ("j",)


def test_key_that_was_let_go_before_a_chunk_counts_once() -> None:
    inbox = Inbox()
    inbox.hear({"type": "control_state", "controls": ["w"]})
    inbox.hear({"type": "control_state", "controls": []})

    assert taken(inbox) == "w"
    inbox.hear({"type": "control_state", "controls": ["a"]})
    assert taken(inbox) == "a"


def test_newest_tap_alone_is_kept() -> None:
    inbox = Inbox()
    for key in "was":
        inbox.hear({"type": "control", "key": key})
        inbox.hear({"type": "control", "key": key, "event": "release"})

    assert taken(inbox) == "s"


def test_held_keys_are_taken_again_and_again() -> None:
    inbox = Inbox()
    inbox.hear({"type": "control_state", "controls": ["l", "w"]})

    assert [taken(inbox) for _ in range(3)] == ["wl", "wl", "wl"]


@pytest.mark.parametrize("event", ["reset", "reset_pose"])
def test_reset_lets_all_go_and_needs_no_key(event: str) -> None:
    inbox = Inbox()
    inbox.hear({"type": "control_state", "controls": ["w"]})

    inbox.hear({"type": "control", "action": event})

    assert inbox.take() is RESET
    assert inbox.held == ()


def test_poses_go_before_keys_that_are_held() -> None:
    inbox = Inbox(poses=1)
    inbox.hear({"type": "control_state", "controls": ["w"]})
    inbox.hear({"poses": [UNIT], "previous_pose": UNIT, "translation_scale": 2})

    assert inbox.take() == Controls(poses=Poses(matrices=(UNIT,), previous=UNIT, scale=2.0))
    assert taken(inbox) == "w"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"type": "control_state"}, "control_state needs controls, a list"),
        ({"type": "control", "key": "q"}, "'q': no key of this world"),
        ({"type": "control"}, "'None': no key of this world"),
        ({"type": "control", "key": "w", "event": "fly"}, "'fly' is no event of a key"),
        ({"type": "dance"}, "a message of the type 'dance' means nothing here"),
        ({}, "a message of the type None means nothing here"),
        ({"control_tensor": [1]}, "this world obeys keys and poses, no other control"),
        ({"poses": [UNIT] * 2}, "poses must be 1 matrices of 4x4"),
        ({"poses": [[1]]}, "must be matrices of 4x4 finite numbers"),
        ({"poses": [[*UNIT[:3], [0, 0, 0, math.inf]]]}, "finite numbers"),
        ({"poses": [UNIT], "previous_pose": 1}, "finite numbers"),
        ({"poses": [UNIT], "translation_scale": "big"}, "translation_scale must be a number"),
    ],
)
def test_message_that_means_nothing_is_refused(message: dict[str, Any], told: str) -> None:
    inbox = Inbox(poses=1)

    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are below
        inbox.hear(message)

    assert told in str(refused.value)
    assert inbox.held == ()


def test_world_that_takes_no_poses_says_so() -> None:
    with pytest.raises(ValueError, match="this world obeys keys, no other control"):
        Inbox().hear({"poses": [UNIT]})


def test_keys_that_a_world_has_not_are_refused_and_the_others_heard() -> None:
    inbox = Inbox(keys="wsad")

    with pytest.raises(ValueError, match="'j': no key of this world, which has 'wsad'"):
        inbox.hear({"type": "control_state", "controls": ["w", "j"]})

    assert inbox.held == ("w",)


def test_end_comes_before_what_is_held() -> None:
    inbox = Inbox()
    inbox.hear({"type": "control_state", "controls": ["w"]})

    inbox.hear({"type": "stop"})

    assert inbox.take() is None
    assert inbox.is_closed


def test_who_waits_is_woken_by_a_key_and_by_the_end() -> None:
    inbox, seen = Inbox(), []
    both = threading.Thread(target=lambda: seen.extend([inbox.take(), inbox.take()]))
    both.start()

    inbox.hear({"type": "control", "key": "w"})
    inbox.close()
    both.join()

    assert seen[-1] is None


def test_wait_for_the_end_ends_with_it() -> None:
    inbox = Inbox()
    waiting = threading.Thread(target=inbox.wait_for_end, args=(3600,))
    waiting.start()

    inbox.close()
    waiting.join(30)

    assert not waiting.is_alive()
