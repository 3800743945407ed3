"""Turns what a request says of its media into checked files of the task."""

import asyncio
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.contract import is_empty
from telefuser_grpc.domain.kinds import INPUT_FIELDS
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import InputRejected, UploadNotFound, UploadTooLarge
from telefuser_grpc.media.disk import (
    in_thread,
    link_or_copy,
    make_folder,
    publish,
    remove_empty,
    write_file,
    writing,
)
from telefuser_grpc.media.downloads import Downloads
from telefuser_grpc.media.formats import check_format, extension
from telefuser_grpc.media.inline import decode_inline, is_inline
from telefuser_grpc.media.server_files import read_server_file
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.media.url import is_url
from telefuser_grpc.pipeline.probe import ProbeLimits, Undecodable, probe

UPLOAD_PREFIX = "upload:"
UNLIMITED = InputLimits()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the file of a field is on its way, and how large it may be."""

    field: str
    part: Path
    limits: InputLimits

    def keep(self, facts: MediaFacts) -> str:
        """Gives a checked file its name, which is returned. Raises InputRejected."""
        check_format(self.field, facts)
        if fault := self.limits.fault(facts):
            raise InputRejected(self.field, fault)
        path = self.part.with_suffix(f".{extension(facts.content_type)}")
        with writing():
            publish(self.part, path)
        return path.name


class LocalMediaInputs:
    """Keeps the inputs of a task as files below `<root>/tasks/<task id>/inputs`."""

    def __init__(
        self,
        root: Path,
        *,
        uploads: LocalUploads,
        allowed_roots: Sequence[Path],
        max_bytes: int,
        max_inline_bytes: int | None = None,
        limits: ProbeLimits,
        downloads: Downloads | None = None,
    ) -> None:
        self._root = root
        self._uploads = uploads
        self._allowed_roots = tuple(allowed_roots)
        self._max_bytes = max_bytes
        self._max_inline_bytes = min(max_bytes, max_inline_bytes or max_bytes)
        self._limits = limits
        self._downloads = downloads or Downloads(max_bytes=max_bytes)

    async def take(
        self, task_id: str, fields: Mapping[str, Any], *, limits: Mapping[str, InputLimits]
    ) -> dict[str, str]:
        """Stores each given media field as a checked file; returns names by field.

        URLs are fetched side by side, once everything else is known to be good.

        Raises:
            InputRejected, UploadTooLarge, UploadNotFound, StorageFull
        """
        given = {name: fields[name] for name in INPUT_FIELDS if not is_empty(fields.get(name))}
        if not given:
            return {}
        urls = self._urls(given)
        folder = self._folder(task_id)
        mark = secrets.token_hex(4)
        places = {
            field: _Place(field, folder / f"{field}_{mark}.part", limits.get(field, UNLIMITED))
            for field in given
        }
        try:
            names = await in_thread(self._take, folder, places, _without(given, urls))
            return names | await self._download(urls, places)
        except BaseException:
            await in_thread(_remove, folder, mark)
            raise

    async def share(self, task_id: str, other: Task) -> dict[str, str]:
        """Links the files of another task, which never change; returns names by field."""
        source, folder = self._folder(other.id), self._folder(task_id)
        is_whole = False
        try:
            is_whole = await in_thread(_link_all, source, folder, other.inputs.values())
        finally:
            if not is_whole:
                await self.drop(task_id)
        return dict(other.inputs) if is_whole else {}

    async def drop(self, task_id: str) -> None:
        """Removes the inputs of a task that was refused after all."""
        await in_thread(_remove_folder, self._folder(task_id))

    def _folder(self, task_id: str) -> Path:
        return self._root / "tasks" / task_id / "inputs"

    def _urls(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Returns what is to be fetched; references that cannot be good are refused."""
        for field, reference in given.items():
            if not isinstance(reference, str):
                raise InputRejected(field, "must be text: an upload, a data URL, a URL or a path")
        urls = {field: reference for field, reference in given.items() if is_url(reference)}
        for field, url in urls.items():
            self._downloads.check(field, url)
        return urls

    async def _download(
        self, urls: Mapping[str, str], places: Mapping[str, _Place]
    ) -> dict[str, str]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    field: group.create_task(self._fetch(url, places[field]))
                    for field, url in urls.items()
                }
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the others were cancelled for it
        return {field: task.result() for field, task in tasks.items()}

    async def _fetch(self, url: str, place: _Place) -> str:
        await self._downloads.fetch(place.field, url, place.part)
        return await in_thread(self._keep_probed, place)

    def _take(
        self, folder: Path, places: Mapping[str, _Place], given: Mapping[str, str]
    ) -> dict[str, str]:
        with writing():
            make_folder(folder)
        return {field: self._store(reference, places[field]) for field, reference in given.items()}

    def _store(self, reference: str, place: _Place) -> str:
        if reference.startswith(UPLOAD_PREFIX):
            upload_id = reference.removeprefix(UPLOAD_PREFIX)
            return place.keep(self._take_upload(upload_id, place.part))
        with writing():
            write_file(place.part, self._limited(place.field, self._read(place.field, reference)))
        return self._keep_probed(place)

    def _keep_probed(self, place: _Place) -> str:
        try:
            facts = probe(place.part, limits=self._limits)
        except Undecodable as error:
            raise InputRejected(place.field, error.message) from error
        return place.keep(facts)

    def _take_upload(self, upload_id: str, part: Path) -> MediaFacts:
        """Links the upload's file, which was checked when it came, and never changes."""
        upload = self._uploads.read(upload_id)
        with writing():
            try:
                link_or_copy(self._uploads.path(upload_id), part)
            except FileNotFoundError as error:
                raise UploadNotFound(upload_id) from error
        return upload.facts

    def _read(self, field: str, reference: str) -> Iterator[bytes]:
        if is_inline(reference):
            return decode_inline(field, reference, max_bytes=self._max_inline_bytes)
        return read_server_file(
            field, reference, roots=self._allowed_roots, max_bytes=self._max_bytes
        )

    def _limited(self, field: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        size_bytes = 0
        for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > self._max_bytes:
                raise UploadTooLarge(field, self._max_bytes)
            yield chunk


def _link_all(source: Path, folder: Path, names: Iterable[str]) -> bool:
    """Gives files a second name in another folder; tells whether all of them were still there."""
    with writing():
        make_folder(folder)
        for name in names:
            part = folder / f"{name}.part"
            try:
                link_or_copy(source / name, part)
            except FileNotFoundError:
                return False
            publish(part, folder / name)
    return True


def _without(given: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    return {field: reference for field, reference in given.items() if field not in urls}


def _remove(folder: Path, mark: str) -> None:
    for path in folder.glob(f"*_{mark}.*"):
        with suppress(OSError):
            path.unlink()
    remove_empty(folder, folder.parent)


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    remove_empty(folder.parent)
