"""Who may read which file, and the files themselves."""

import json
from typing import Any

import pytest

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2 as auth
from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_file_service_pb2 as pb
from tests.fakes.media_files import noise
from tests.fakes.replicas import CONTENT
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway

SIZE = len(CONTENT)
PUBLIC = "/v1/files/download/"
INTERNAL = "/__artifacts/"
FILE = "tasks/t1/outputs/videos/t1.mp4"
OK, PERMISSION_DENIED = 0, 7


@pytest.fixture(autouse=True)
async def task(backend: Backend) -> None:
    """A completed task."""
    await backend.run_to_end("t1")


class TestGuard:
    @pytest.mark.parametrize(
        "name",
        [
            FILE,
            f"local:{FILE}",
            f"local%3A{FILE}",
            "t1.mp4",
            "t1%2Emp4",
            "t1.mp4?download=1&x=%2e%2e",
            "outputs/videos/t1.mp4",
            FILE.replace("/", "%2F"),
        ],
    )
    async def test_names_the_file_for_the_gateway(self, backend: Backend, name: str) -> None:
        response = await _check(backend, name)

        assert response.status.code == OK
        assert _request_headers(response) == {":path": INTERNAL + FILE, "range": ""}

    @pytest.mark.parametrize("slashes", ["/", "", "%2F", "%2f%2F"])
    @pytest.mark.parametrize("name", [FILE, "outputs/videos/t1.mp4", "outputs/t1.mp4"])
    async def test_names_the_file_by_its_absolute_path(
        self, backend: Backend, slashes: str, name: str
    ) -> None:
        response = await _check(backend, f"{slashes}{str(backend.root)[1:]}/{name}")

        assert _request_headers(response)[":path"] == INTERNAL + FILE

    async def test_type_of_a_name_in_capitals_is_told(self, backend: Backend) -> None:
        await backend.run_to_end("t2", parameters={"output_path": "A.MP4"})

        response = await _check(backend, "A.MP4")

        headers = _plain(response.ok_response.response_headers_to_add)
        assert headers["content-type"] == "video/mp4"

    async def test_name_that_several_tasks_gave_is_the_newest(self, backend: Backend) -> None:
        for task_id in ("t2", "t3"):
            await backend.run_to_end(task_id, parameters={"output_path": "same.mp4"})

        response = await _check(backend, "same.mp4")

        assert _request_headers(response)[":path"].startswith(f"{INTERNAL}tasks/t3/")

    async def test_adds_what_the_file_server_does_not_know(self, backend: Backend) -> None:
        response = await _check(backend, "t1.mp4")

        headers = _plain(response.ok_response.response_headers_to_add)
        assert sorted(headers) == [
            "cache-control",
            "content-disposition",
            "etag",
            "x-content-type-options",
        ]
        assert headers["content-disposition"] == 'attachment; filename="t1.mp4"'
        assert {each.append_action for each in response.ok_response.response_headers_to_add} == {
            auth.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        }

    @pytest.mark.parametrize(
        ("wanted", "sent"),
        [
            ("bytes=1-2", "bytes=1-2"),
            ("bytes=-1", f"bytes={SIZE - 1}-{SIZE - 1}"),
            ("bytes=1-", f"bytes=1-{SIZE - 1}"),
            ("bytes=0-1,3-4", ""),
            ("bytes=5-2", ""),
        ],
    )
    async def test_rewrites_ranges_for_the_file_server(
        self, backend: Backend, wanted: str, sent: str
    ) -> None:
        response = await _check(backend, "t1.mp4", range=wanted)

        assert response.status.code == OK
        assert _request_headers(response)["range"] == sent

    async def test_range_of_another_content_is_dropped(self, backend: Backend) -> None:
        response = await _check(backend, "t1.mp4", range="bytes=1-2", if_range='"other"')

        assert _request_headers(response)["range"] == ""

    @pytest.mark.parametrize(
        ("output_path", "quoted"),
        [
            ("a b/球 #1%.mp4", "a%20b/%E7%90%83%20%231%25.mp4"),
            ("50%25.mp4", "50%2525.mp4"),
            ("a;b=c&d.mp4", "a%3Bb%3Dc%26d.mp4"),
        ],
    )
    async def test_quotes_the_path(self, backend: Backend, output_path: str, quoted: str) -> None:
        await backend.run_to_end("t2", parameters={"output_path": output_path})

        response = await _check(backend, f"tasks/t2/outputs/videos/{quoted}")

        path = _request_headers(response)[":path"]
        assert path == f"{INTERNAL}tasks/t2/outputs/videos/{quoted}"

    async def test_leaves_a_name_with_a_question_mark_to_the_server(self, backend: Backend) -> None:
        await backend.run_to_end("t2", parameters={"output_path": "why?.mp4"})

        response = await _check(backend, "why%3F.mp4")

        assert response.status.code == OK
        assert ":path" not in _request_headers(response)

    async def test_known_content_is_304_without_a_body(self, backend: Backend) -> None:
        tag = _plain((await _check(backend, "t1.mp4")).ok_response.response_headers_to_add)["etag"]

        response = await _check(backend, "t1.mp4", if_none_match=tag)

        denied = response.denied_response
        assert (response.status.code, denied.status.code) == (PERMISSION_DENIED, 304)
        assert denied.body == ""
        assert _plain(denied.headers)["etag"] == tag
        assert "content-type" not in _plain(denied.headers)

    async def test_impossible_range_is_416(self, backend: Backend) -> None:
        response = await _check(backend, "t1.mp4", range=f"bytes={SIZE}-")

        denied = response.denied_response
        assert denied.status.code == 416
        assert _plain(denied.headers) == {
            "content-type": "application/json",
            "content-range": f"bytes */{SIZE}",
        }
        assert "beyond the end" in json.loads(denied.body)["detail"]

    @pytest.mark.parametrize(
        "name",
        [
            "../../tasks.db",
            "..%2f..%2ftasks.db",
            "%2e%2e/tasks.db",
            "/etc/passwd",
            "%2Fetc%2Fpasswd",
            "tasks/t1/inputs/a.png",
            "tasks/t1/tmp/1/t1.mp4",
            "tasks/t1/outputs/videos/..%5c..%5cx",
            "t1.mp4%00.png",
        ],
    )
    async def test_name_outside_the_outputs_is_403(self, backend: Backend, name: str) -> None:
        denied = (await _check(backend, name)).denied_response

        assert denied.status.code == 403
        assert denied.body == '{"detail": "Access to this file is not allowed"}'

    @pytest.mark.parametrize(
        "name",
        [
            "tasks.db",
            "tasks/t1/inputs/a.png",
            "tasks/t1/tmp/1/a",
            "../x",
            "outputs/../tasks.db",
            "",
        ],
    )
    async def test_absolute_path_outside_the_outputs_is_403(
        self, backend: Backend, name: str
    ) -> None:
        denied = (await _check(backend, f"{backend.root}/{name}")).denied_response

        assert denied.status.code == 403

    @pytest.mark.parametrize("name", ["", "t2.mp4", "%FF.mp4", "tasks/t2/outputs/videos/t2.mp4"])
    async def test_unknown_name_is_404(self, backend: Backend, name: str) -> None:
        denied = (await _check(backend, name)).denied_response

        assert denied.status.code == 404
        assert denied.body == '{"detail": "File not found"}'
        assert _plain(denied.headers) == {"content-type": "application/json"}

    @pytest.mark.parametrize(
        "path", [INTERNAL + FILE, "/v1/service/health", "/", "", "//[x/v1/files/download/t1.mp4"]
    )
    async def test_other_paths_are_404(self, backend: Backend, path: str) -> None:
        denied = (await _check_path(backend, path)).denied_response

        assert denied.status.code == 404

    async def test_vanished_file_is_404(self, backend: Backend) -> None:
        (backend.root / FILE).unlink()

        assert (await _check(backend, "t1.mp4")).denied_response.status.code == 404


class TestStream:
    async def test_sends_the_whole_with_its_headers(self, gateway: Gateway) -> None:
        answer = await _download(gateway, "t1.mp4")

        assert (answer.status, answer.body) == (200, CONTENT)
        assert answer.content_type == "video/mp4"
        assert answer.headers["x-content-length"] == str(SIZE)
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-disposition"] == 'attachment; filename="t1.mp4"'

    async def test_sends_a_part(self, gateway: Gateway) -> None:
        answer = await _download(gateway, "t1.mp4", range="bytes=1-3")

        assert (answer.status, answer.body) == (206, CONTENT[1:4])
        assert answer.headers["content-range"] == f"bytes 1-3/{SIZE}"
        assert answer.headers["x-content-length"] == "3"

    async def test_sends_a_large_file_whole(self, backend: Backend, gateway: Gateway) -> None:
        content = noise(width=1024)
        await backend.rewrite("t1", content)

        assert (await _download(gateway, "t1.mp4")).body == content

    async def test_head_has_the_headers_only(self, gateway: Gateway) -> None:
        answer = await _download(gateway, "t1.mp4", x_envoy_original_method="HEAD")

        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["x-content-length"] == str(SIZE)
        assert answer.content_type == "video/mp4"

    async def test_known_content_is_304(self, gateway: Gateway) -> None:
        tag = (await _download(gateway, "t1.mp4")).headers["etag"]

        answer = await _download(gateway, "t1.mp4", if_none_match=tag)

        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)

    async def test_impossible_range_is_416(self, gateway: Gateway) -> None:
        answer = await _download(gateway, "t1.mp4", range=f"bytes={SIZE}-")

        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
        assert "beyond the end" in answer.detail

    @pytest.mark.parametrize(
        ("name", "status", "detail"),
        [
            ("t2.mp4", 404, "File not found"),
            ("../tasks.db", 403, "Access to this file is not allowed"),
        ],
    )
    async def test_refuses_what_is_no_artifact(
        self, gateway: Gateway, name: str, status: int, detail: str
    ) -> None:
        answer = await _download(gateway, name)

        assert (answer.status, answer.json) == (status, {"detail": detail})


async def _check(backend: Backend, name: str, **headers: str) -> auth.CheckResponse:
    return await _check_path(backend, PUBLIC + name, **headers)


async def _check_path(backend: Backend, path: str, **headers: str) -> auth.CheckResponse:
    http = auth.AttributeContext.HttpRequest(
        method="GET",
        path=path,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    request = auth.CheckRequest(
        attributes=auth.AttributeContext(request=auth.AttributeContext.Request(http=http))
    )
    response: auth.CheckResponse = await auth_grpc.AuthorizationStub(backend.channel).Check(request)
    return response


def _request_headers(response: auth.CheckResponse) -> dict[str, str]:
    return _plain(response.ok_response.headers)


def _plain(options: Any) -> dict[str, str]:
    return {each.header.key: each.header.value for each in options}


async def _download(gateway: Gateway, name: str, **headers: str) -> Answer:
    request = pb.DownloadFileRequest(file_path=name)
    return await gateway.ask(gateway.files.DownloadFile, request, **headers)
