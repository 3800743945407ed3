"""What somebody who walks through a world holds down or asks for, until a chunk obeys it."""

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KEYS = "wsadikjl"
"""Forward, back, left, right; look up, down, left, right."""
NAMES = {
    "w": ("forward", "up", "arrowup"),
    "s": ("backward", "back", "down", "arrowdown"),
    "j": ("left", "arrowleft"),
    "l": ("right", "arrowright"),
}
ALIASES = (
    {key: key for key in KEYS}
    | {f"key{key}": key for key in KEYS}
    | {name: key for key, names in NAMES.items() for name in names}
)
RELEASES = frozenset({"release", "keyup", "end"})
RESETS = frozenset({"reset", "reset_pose"})
PRESSES = frozenset({"press", "keydown", "start"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """Where the camera shall be at each latent frame of a chunk: 4x4 matrices, camera to world.

    Attributes:
        previous: Where it was before; None is where it is.
        scale: By what all places are multiplied.
    """

    matrices: tuple[Any, ...]
    previous: Any | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What one chunk obeys: keys, in the order of `KEYS`, or poses."""

    keys: tuple[str, ...] = ()
    poses: Poses | None = None


RESET = Controls()
"""Stands for the wish to be back at the beginning."""


class Inbox:
    """Hears a client, and says what the next chunk shall obey. Any thread may call.

    Args:
        keys: Those that the world obeys.
        poses: How many explicit poses a chunk needs; 0 takes none.
    """

    def __init__(self, *, keys: str = KEYS, poses: int = 0) -> None:
        self._keys = keys
        self._poses = poses
        self._changed = threading.Condition()
        self._held: frozenset[str] = frozenset()
        self._wanted: Controls | None = None
        self._is_closed = False

    @property
    def held(self) -> tuple[str, ...]:
        """The keys that are down."""
        return _ordered(self._held)

    @property
    def is_closed(self) -> bool:
        """Whether the client has had enough."""
        return self._is_closed

    def hear(self, message: Mapping[str, Any]) -> None:
        """Takes a message. Raises ValueError for one, or a part of it, that means nothing here."""
        match message.get("type"):
            case "stop":
                self.close()
            case "control_state":
                self._snapshot(message.get("controls"))
            case _ if "poses" in message or "control_tensor" in message:
                self._want(Controls(poses=_poses(message, self._poses)))
            case "control":
                self._control(message)
            case other:
                raise ValueError(f"a message of the type {other!r} means nothing here")

    def take(self) -> Controls | None:
        """Waits for what the next chunk obeys; `RESET` comes alone, None after the end.

        What was asked for goes before what is held; a key that was let go meanwhile counts once.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._wanted or self._held)
            wanted, self._wanted = self._wanted, None
            if self._is_closed:
                return None
            if wanted is not None and not wanted.keys:
                return wanted
            return Controls(keys=_ordered(self._held.union(wanted.keys if wanted else ())))

    def wait_for_end(self, seconds: float) -> None:
        """Waits until the client has had enough, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, seconds)

    def close(self) -> None:
        """Ends every wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _snapshot(self, names: Any) -> None:
        if not isinstance(names, list):
            raise ValueError('control_state needs controls, a list as in ["w", "j"]')
        known, unknown = self._read(names)
        with self._changed:
            pressed = known - self._held
            self._held = known
            if pressed:
                self._wanted = Controls(keys=_ordered(pressed))
                self._changed.notify_all()
        if unknown:
            raise ValueError(self._told(unknown))

    def _control(self, message: Mapping[str, Any]) -> None:
        event = str(message.get("event") or message.get("action") or "press").lower()
        if event in RESETS:
            self._reset()
            return
        name = message.get("control") or message.get("direction") or message.get("key")
        known, unknown = self._read([name])
        if unknown:
            raise ValueError(self._told(unknown))
        if event in RELEASES:
            with self._changed:
                self._held -= known
        elif event in PRESSES:
            with self._changed:
                self._held |= known
            self._want(Controls(keys=_ordered(known)))
        else:
            raise ValueError(f"{event!r} is no event of a key; it is press, release or reset")

    def _reset(self) -> None:
        with self._changed:
            self._held = frozenset()
        self._want(RESET)

    def _want(self, controls: Controls) -> None:
        with self._changed:
            self._wanted = controls
            self._changed.notify_all()

    def _read(self, names: Iterable[Any]) -> tuple[frozenset[str], list[str]]:
        keys = {str(name): ALIASES.get(str(name).lower(), "") for name in names}
        unknown = [name for name, key in keys.items() if not key or key not in self._keys]
        return frozenset(key for name, key in keys.items() if name not in unknown), unknown

    def _told(self, unknown: list[str]) -> str:
        return f"{', '.join(map(repr, unknown))}: no key of this world, which has {self._keys!r}"


def _ordered(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys, key=KEYS.index))


def _poses(message: Mapping[str, Any], count: int) -> Poses:
    if not count or "poses" not in message:
        raise ValueError(
            "this world obeys keys" + (" and poses" if count else "") + ", no other control"
        )
    matrices, previous = message["poses"], message.get("previous_pose")
    scale = message.get("translation_scale", 1.0)
    if not isinstance(matrices, list) or len(matrices) != count:
        raise ValueError(f"poses must be {count} matrices of 4x4, one for each latent frame")
    if not all(map(_is_matrix, [*matrices, *([previous] if previous is not None else [])])):
        raise ValueError("poses and previous_pose must be matrices of 4x4 finite numbers")
    if not _is_number(scale) or not 0 <= scale <= 100:
        raise ValueError("translation_scale must be a number of 0 to 100")
    return Poses(matrices=tuple(matrices), previous=previous, scale=float(scale))


def _is_matrix(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(
            isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in value
        )
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
