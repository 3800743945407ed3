"""The native artifact service: files in, files out."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from telefuser_grpc._gen.telefuser.v1 import artifact_pb2
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as pb
from tests.fakes.media_files import noise, png_bomb, still, truncated
from tests.fakes.replicas import CONTENT
from tests.server.backend import MAX_UPLOAD_BYTES, Backend
from tests.server.refusal import refusal

ID = "local:tasks/t1/outputs/videos/t1.mp4"


class TestUpload:
    async def test_answers_what_was_stored(self, backend: Backend) -> None:
        content = still()

        upload = (await _send(backend, [content[:10], content[10:]])).upload

        assert upload.size_bytes == len(content)
        assert upload.sha256 == hashlib.sha256(content).hexdigest()
        assert upload.content_type == "image/png"
        assert upload.create_time.ToJsonString() == "2026-01-02T03:04:05.678901Z"
        assert backend.uploads.path(upload.upload_id).read_bytes() == content

    async def test_kept_promise_is_accepted(self, backend: Backend) -> None:
        content = still()
        sha256 = hashlib.sha256(content).hexdigest()

        response = await _send(backend, [content], size_bytes=len(content), sha256=sha256)

        assert response.upload.sha256 == sha256

    @pytest.mark.parametrize(
        "promise", [{"size_bytes": 1}, {"size_bytes": 60_000}, {"sha256": "0" * 64}]
    )
    async def test_broken_promise_is_data_loss(
        self, backend: Backend, promise: dict[str, Any]
    ) -> None:
        refused = await refusal(_send(backend, [still()], **promise))

        assert refused.code is grpc.StatusCode.DATA_LOSS
        assert (refused.reason, refused.domain) == ("CHECKSUM_MISMATCH", "telefuser")
        assert _kept(backend) == []

    @pytest.mark.parametrize("promised_bytes", [0, MAX_UPLOAD_BYTES + 1])
    async def test_too_large_is_refused(self, backend: Backend, promised_bytes: int) -> None:
        content = noise()
        assert len(content) > MAX_UPLOAD_BYTES

        refused = await refusal(_send(backend, [content], size_bytes=promised_bytes))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "UPLOAD_TOO_LARGE"
        assert refused.metadata["limit_bytes"] == str(MAX_UPLOAD_BYTES)
        assert _kept(backend) == []

    async def test_file_below_the_reserve_of_the_disk_is_refused_and_leaves_nothing(
        self, tmp_path: Path
    ) -> None:
        async with Backend(tmp_path, reserve_bytes=2**60) as backend:
            refused = await refusal(_send(backend, [still()]))

            assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.reason == "STORAGE_FULL"
            assert _kept(backend) == []

    @pytest.mark.parametrize(
        "content", [b"", b"plain text", png_bomb(), truncated(still(width=99))]
    )
    async def test_what_does_not_decode_is_refused(self, backend: Backend, content: bytes) -> None:
        refused = await refusal(_send(backend, [content]))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.reason == "INPUT_REJECTED"
        assert list(refused.violations) == ["file"]
        assert str(backend.root) not in refused.message
        assert _kept(backend) == []

    @pytest.mark.parametrize("requests", [[], [pb.UploadInputRequest(chunk=b"x")]])
    async def test_metadata_must_come_first(
        self, backend: Backend, requests: list[pb.UploadInputRequest]
    ) -> None:
        refused = await refusal(backend.artifact_service.UploadInput(_each(requests)))

        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.reason, refused.violations) == ("INVALID_FIELDS", {"metadata": "MISSING"})


class TestDownload:
    async def test_sends_the_description_then_the_content(self, backend: Backend) -> None:
        await backend.run_to_end("t1")

        first, *pieces = await _received(backend, "t1.mp4")

        assert first.artifact == await _described(backend, "t1.mp4")
        assert b"".join(piece.chunk for piece in pieces) == CONTENT

    @pytest.mark.parametrize("offset", [1, len(CONTENT) - 1, len(CONTENT)])
    async def test_sends_the_rest_from_an_offset(self, backend: Backend, offset: int) -> None:
        await backend.run_to_end("t1")

        _, *pieces = await _received(backend, "t1.mp4", offset)

        assert b"".join(piece.chunk for piece in pieces) == CONTENT[offset:]

    async def test_large_file_comes_whole_in_small_pieces(self, backend: Backend) -> None:
        content = noise(width=1024)
        await backend.run_to_end("t1")
        await backend.rewrite("t1", content)

        _, *pieces = await _received(backend, "t1.mp4")

        assert b"".join(piece.chunk for piece in pieces) == content
        assert max(len(piece.chunk) for piece in pieces) == 256 * 1024

    async def test_offset_beyond_the_end_is_out_of_range(self, backend: Backend) -> None:
        await backend.run_to_end("t1")

        refused = await refusal(_download(backend, "t1.mp4", len(CONTENT) + 1))

        assert refused.code is grpc.StatusCode.OUT_OF_RANGE
        assert refused.reason == "OFFSET_OUT_OF_RANGE"
        assert refused.metadata == {"size_bytes": str(len(CONTENT))}
        assert list(refused.violations) == ["offset"]

    async def test_file_that_has_vanished_is_not_found(self, backend: Backend) -> None:
        await backend.run_to_end("t1")
        (backend.root / "tasks/t1/outputs/videos/t1.mp4").unlink()

        refused = await refusal(_download(backend, "t1.mp4"))

        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert (refused.reason, refused.metadata) == ("ARTIFACT_NOT_FOUND", {"artifact_id": ID})


class TestGet:
    @pytest.mark.parametrize("name", [ID, ID.removeprefix("local:"), "t1.mp4", "outputs/t1.mp4"])
    async def test_finds_an_artifact_by_each_of_its_names(
        self, backend: Backend, name: str
    ) -> None:
        await backend.run_to_end("t1")

        artifact = await _described(backend, name)

        assert (artifact.artifact_id, artifact.task_id) == (ID, "t1")
        assert (artifact.filename, artifact.content_type) == ("t1.mp4", "video/mp4")
        assert artifact.size_bytes == len(CONTENT)
        assert artifact.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert (artifact.width, artifact.height, artifact.frame_count) == (16, 16, 4)

    @pytest.mark.parametrize("name", ["", "t2.mp4", ID.replace("t1", "t2")])
    async def test_unknown_name_is_not_found(self, backend: Backend, name: str) -> None:
        await backend.run_to_end("t1")

        for call in (_get(backend, name), _download(backend, name)):
            refused = await refusal(call)

            assert refused.code is grpc.StatusCode.NOT_FOUND
            assert (refused.reason, refused.metadata) == (
                "ARTIFACT_NOT_FOUND",
                {"artifact_id": name},
            )

    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "../tasks.db", "tasks/t1/inputs/a.png", "local:tasks/t1/tmp/1/x"]
    )
    async def test_name_outside_the_outputs_is_denied(self, backend: Backend, name: str) -> None:
        await backend.run_to_end("t1")

        for call in (_get(backend, name), _download(backend, name)):
            refused = await refusal(call)

            assert refused.code is grpc.StatusCode.PERMISSION_DENIED
            assert refused.reason == "ACCESS_DENIED"


def _send(backend: Backend, chunks: Sequence[bytes], **promise: Any) -> Any:
    metadata = pb.UploadInputMetadata(filename="a.png", **promise)
    requests = [
        pb.UploadInputRequest(metadata=metadata),
        *(pb.UploadInputRequest(chunk=chunk) for chunk in chunks),
    ]
    return backend.artifact_service.UploadInput(_each(requests))


async def _each(requests: Sequence[pb.UploadInputRequest]) -> Any:
    for request in requests:
        yield request


def _kept(backend: Backend) -> list[str]:
    return [path.name for path in (backend.root / "uploads").glob("*")]


def _get(backend: Backend, name: str) -> Any:
    return backend.artifact_service.GetArtifact(pb.GetArtifactRequest(artifact_id=name))


async def _described(backend: Backend, name: str) -> artifact_pb2.Artifact:
    response: pb.GetArtifactResponse = await _get(backend, name)
    return response.artifact


def _download(backend: Backend, name: str, offset: int = 0) -> Any:
    return backend.artifact_service.DownloadArtifact(
        pb.DownloadArtifactRequest(artifact_id=name, offset=offset)
    )


async def _received(
    backend: Backend, name: str, offset: int = 0
) -> list[pb.DownloadArtifactResponse]:
    return [response async for response in _download(backend, name, offset)]
