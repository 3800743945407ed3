"""Space held back for what becomes of tasks."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from telefuser_grpc.storage.spare import SPARE_BYTES, Spare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db.spare"


def refuse_space(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def test_spare_really_takes_the_space(path: Path) -> None:
    Spare(path).hold()

    assert path.stat().st_blocks * 512 >= SPARE_BYTES


def test_spare_given_up_is_gone_and_made_again_with_room(path: Path) -> None:
    spare = Spare(path)
    spare.hold()

    spare.give_up()
    given_up = (spare.is_spent, path.exists())
    spare.hold_again()

    assert given_up == (True, False)
    assert not spare.is_spent
    assert path.exists()


def test_spare_is_not_made_again_of_the_last_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = Spare(path)
    spare.give_up()
    usage = shutil.disk_usage(path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * SPARE_BYTES - 1))

    spare.hold_again()

    assert spare.is_spent


def test_disk_without_room_for_the_spare_counts_as_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_space(monkeypatch, errno.ENOSPC)
    spare = Spare(path)

    spare.hold()

    assert spare.is_spent
    assert not path.exists()


def test_disk_that_cannot_hold_space_back_is_used_without(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_space(monkeypatch, errno.EOPNOTSUPP)
    spare = Spare(path)

    spare.hold()

    assert not spare.is_spent
