"""The folders of tasks in memory, and what clears them up."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath

AT_ONCE = 16

Group = Callable[[str], str]


class MemoryTaskFolders:
    """`TaskFolders` as sizes and times of files by task and path, on a disk of a capacity."""

    def __init__(self, *, capacity: int = 2**40) -> None:
        self.capacity = capacity
        self.other_bytes = 0  # of whoever else writes to the disk
        self.deleted: list[str] = []
        self._files: dict[str, dict[str, tuple[int, datetime]]] = {}

    def write(self, task_id: str, path: str, *, size_bytes: int = 1, time: datetime) -> None:
        """Writes a file."""
        self._files.setdefault(task_id, {})[path] = (size_bytes, time)

    def paths(self) -> list[str]:
        """Returns all files as `<task id>/<path>`."""
        return sorted(f"{task_id}/{path}" for task_id in self._files for path in self._of(task_id))

    async def names(self) -> AsyncGenerator[Sequence[str], None]:
        names = iter(list(self._files))
        while some := list(islice(names, AT_ONCE)):
            yield some

    async def sizes(self, task_ids: Sequence[str]) -> Mapping[str, int]:
        return {each: sum(size for size, _ in self._of(each).values()) for each in task_ids}

    async def delete(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            self._files.pop(task_id, None)
            self.deleted.append(task_id)

    async def delete_stale(self, task_ids: Sequence[str], before: datetime) -> Sequence[str]:
        stale = [
            task_id
            for task_id in task_ids
            if task_id in self._files
            and all(time < before for _, time in self._of(task_id).values())
        ]
        await self.delete(stale)
        return stale

    async def discard_parts(self, task_ids: Sequence[str], before: datetime) -> int:
        return self._discard(task_ids, before, _part)

    async def discard_outputs(self, task_ids: Sequence[str], before: datetime) -> int:
        return self._discard(task_ids, before, _output)

    async def finish_removals(self) -> None:
        """Nothing is removed by halves here."""

    async def free_bytes(self) -> int:
        used = sum((await self.sizes(list(self._files))).values())
        return self.capacity - self.other_bytes - used

    def _of(self, task_id: str) -> dict[str, tuple[int, datetime]]:
        return self._files.get(task_id, {})

    def _discard(self, task_ids: Sequence[str], before: datetime, group: Group) -> int:
        count = 0
        for task_id in task_ids:
            files = self._of(task_id)
            groups = {group(path) for path in files} - {""}
            for name in groups:
                mine = [path for path in files if group(path) == name]
                if all(files[path][1] < before for path in mine):
                    count += 1
                    for path in mine:
                        del files[path]
        return count


def _part(path: str) -> str:
    """Returns what is discarded together with a file: its attempt's scratch, or itself."""
    parts = PurePosixPath(path).parts
    is_part = parts[0] == "inputs" and parts[-1].endswith(".part")
    return "/".join(parts[:2]) if parts[0] == "tmp" or is_part else ""


def _output(path: str) -> str:
    parts = PurePosixPath(path).parts
    return "/".join(parts[:2]) if parts[0] == "outputs" else ""


class MemoryUploads:
    """An `UploadSweep` that tells what it was asked."""

    def __init__(self) -> None:
        self.swept: asyncio.Queue[datetime] = asyncio.Queue()

    async def sweep(self, older_than: datetime) -> int:
        self.swept.put_nowait(older_than)
        return 0
