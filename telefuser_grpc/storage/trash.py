"""Removing folders: out of sight at once by a rename, then file by file."""

import secrets
import shutil
from contextlib import suppress
from pathlib import Path

TRASH = "trash"


def remove_folder(folder: Path, root: Path) -> None:
    """Removes a folder below a root; a crash in between leaves its rest in the root's trash.

    Whoever has one of the files open goes on reading it.
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(_put_aside(folder, root / TRASH))


def empty_trash(root: Path) -> None:
    """Removes what was put aside and not removed."""
    for folder in (root / TRASH).glob("*"):
        shutil.rmtree(folder, ignore_errors=True)


def _put_aside(folder: Path, trash: Path) -> Path:
    """Returns the folder's new place, or its old one where the disk refuses to rename it."""
    aside = trash / f"{folder.name}.{secrets.token_hex(4)}"
    try:
        trash.mkdir(exist_ok=True)
        return folder.rename(aside)
    except OSError:
        return folder
