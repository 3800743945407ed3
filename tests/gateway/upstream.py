"""A small server that behaves towards Envoy as the real one must: statuses, errors, files."""

import asyncio
import email.utils
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import grpc
from google.api import httpbody_pb2
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2 as auth_pb
from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_docs_service_pb2 as docs_pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_docs_service_pb2_grpc as docs_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_file_service_pb2 as files_pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_file_service_pb2_grpc as files_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as system_pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2_grpc as system_grpc
from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as rest_pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2_grpc as rest_grpc
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as artifact_pb
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2_grpc as artifact_grpc
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as task_pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2_grpc as task_grpc

PREFIX = "/__artifacts/"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Upstream:
    """What the tests can see and steer of the server behind the gateway."""

    def __init__(self, artifacts: Path) -> None:
        self.artifacts = artifacts
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.asked: dict[str, str] = {}
        self.watcher_left = asyncio.Event()
        self.next_event = asyncio.Event()

    def saw(self, context: grpc.aio.ServicerContext, method: str) -> dict[str, str]:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        self.calls.append((method, metadata))
        return metadata

    def last(self, method: str) -> dict[str, str]:
        return next(metadata for name, metadata in reversed(self.calls) if name == method)


@asynccontextmanager
async def serving(upstream: Upstream, address: str) -> AsyncIterator[None]:
    """Runs the server on `unix:/path` or `host:port`."""
    server = grpc.aio.server()
    rest_grpc.add_RestTaskServiceServicer_to_server(_RestTasks(upstream), server)
    system_grpc.add_RestSystemServiceServicer_to_server(_RestSystem(upstream), server)
    docs_grpc.add_RestDocsServiceServicer_to_server(_RestDocs(), server)
    files_grpc.add_RestFileServiceServicer_to_server(_RestFiles(upstream), server)
    task_grpc.add_TaskServiceServicer_to_server(_Tasks(upstream), server)
    artifact_grpc.add_ArtifactServiceServicer_to_server(_Artifacts(), server)
    auth_grpc.add_AuthorizationServicer_to_server(_Authorization(upstream), server)
    checks = health.aio.HealthServicer()
    await checks.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection(("telefuser.v1.TaskService",), server)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


def _json(value: object) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(
        content_type="application/json", data=json.dumps(value, separators=(",", ":")).encode()
    )


async def _abort(
    context: grpc.aio.ServicerContext,
    code: grpc.StatusCode,
    body: object,
    *,
    http_status: int,
    retry_after: str | None = None,
) -> None:
    trailing = [("x-http-status", str(http_status)), ("x-error-json", json.dumps(body))]
    if retry_after:
        trailing.append(("retry-after", retry_after))
    await context.abort(code, "refused", tuple(trailing))


class _RestTasks(rest_grpc.RestTaskServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def CreateTask(self, request, context):
        metadata = self._upstream.saw(context, "CreateTask")
        try:
            body = json.loads(request.body.data or b"null")
        except ValueError:
            detail = [{"loc": ["body", 1], "msg": "JSON decode error", "type": "json_invalid"}]
            await _abort(
                context, grpc.StatusCode.INVALID_ARGUMENT, {"detail": detail}, http_status=422
            )
        if body == "accepted":
            await context.send_initial_metadata((("x-http-status", "202"),))
        return rest_pb.CreateTaskResponse(
            body=_json(
                {
                    "echo": body,
                    "error": None,
                    "bytes": len(request.body.data),
                    "content_type": request.body.content_type,
                    "original_path": metadata.get("x-envoy-original-path"),
                }
            )
        )

    async def CreateTaskFromForm(self, request_iterator, context):
        self._upstream.saw(context, "CreateTaskFromForm")
        sizes, types = [], []
        async for request in request_iterator:
            sizes.append(len(request.body.data))
            types.append(request.body.content_type)
            refused = re.match(rb"refuse with (\d+)", request.body.data)
            if refused:
                detail = {"detail": f"refused with {int(refused[1])}"}
                code = grpc.StatusCode.INVALID_ARGUMENT
                await _abort(context, code, detail, http_status=int(refused[1]))
        return rest_pb.CreateTaskFromFormResponse(body=_json({"sizes": sizes, "types": types}))

    async def ListTasks(self, request, context):
        return rest_pb.ListTasksResponse(body=_json({"tasks": []}))

    async def GetTaskStatus(self, request, context):
        self._upstream.saw(context, "GetTaskStatus")
        match request.task_id:
            case "missing":
                detail = {"detail": 'Task not found: 100% "quoted" ü'}
                await _abort(context, grpc.StatusCode.NOT_FOUND, detail, http_status=404)
            case "full":
                detail = {"detail": "Task queue is full (max 2 tasks)"}
                await _abort(
                    context,
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    detail,
                    http_status=503,
                    retry_after="7",
                )
            case "taken":
                await _abort(
                    context,
                    grpc.StatusCode.ALREADY_EXISTS,
                    {"detail": "Task ID taken already exists"},
                    http_status=409,
                )
            case "bare":
                await context.abort(grpc.StatusCode.NOT_FOUND, 'not "here"')
            case "broken":
                raise RuntimeError("/srv/secret/path")
            case "slow":
                await asyncio.Event().wait()
            case "large":
                return rest_pb.GetTaskStatusResponse(body=_json({"data": "x" * 3_000_000}))
        return rest_pb.GetTaskStatusResponse(
            body=_json({"task_id": request.task_id, "end_time": None, "seed": 9007199254740993})
        )

    async def CancelTask(self, request, context):
        return rest_pb.CancelTaskResponse(
            body=_json({"stop_status": "success", "reason": request.task_id})
        )

    async def GetQueueStatus(self, request, context):
        return rest_pb.GetQueueStatusResponse(body=_json({"pending_count": 0}))

    async def StreamTaskEvents(self, request, context):
        upstream = self._upstream
        upstream.saw(context, "StreamTaskEvents")
        if request.task_id == "missing":
            detail = {"detail": "Task not found"}
            await _abort(context, grpc.StatusCode.NOT_FOUND, detail, http_status=404)
        try:
            yield _event(b": connected\n\n")
            for sequence in range(request.after_sequence + 1, request.after_sequence + 3):
                await upstream.next_event.wait()
                upstream.next_event.clear()
                yield _event(
                    f'id: {sequence}\nevent: progress\ndata: {{"step":{sequence}}}\n\n'.encode()
                )
        except asyncio.CancelledError:
            upstream.watcher_left.set()
            raise


def _event(data: bytes) -> rest_pb.StreamTaskEventsResponse:
    return rest_pb.StreamTaskEventsResponse(
        body=httpbody_pb2.HttpBody(content_type="text/event-stream", data=data)
    )


class _RestSystem(system_grpc.RestSystemServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def GetHealth(self, request, context):
        self._upstream.saw(context, "GetHealth")
        return system_pb.GetHealthResponse(body=_json({"status": "healthy"}))

    async def GetMetrics(self, request, context):
        body = httpbody_pb2.HttpBody(
            content_type="text/plain; version=0.0.4; charset=utf-8", data=b"telefuser_up 1\n"
        )
        return system_pb.GetMetricsResponse(body=body)


class _RestDocs(docs_grpc.RestDocsServiceServicer):
    async def GetOpenApi(self, request, context):
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        await _describe(context, metadata, '"document"')
        return docs_pb.GetOpenApiResponse(body=_json({"openapi": "3.1.0", "x": "x" * 2000}))

    async def GetSwaggerUi(self, request, context):
        page = httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=b"<p>" * 1000)
        return docs_pb.GetSwaggerUiResponse(body=page)

    async def GetDocsAsset(self, request, context):
        if request.name == "packed.js":
            await context.send_initial_metadata((("content-encoding", "br"),))
        script = httpbody_pb2.HttpBody(content_type="text/javascript", data=b"x" * 2000)
        return docs_pb.GetDocsAssetResponse(body=script)


async def _describe(context, metadata: dict[str, str], etag: str) -> None:
    known = metadata.get("if-none-match", "").removeprefix("W/") == etag
    status = (("x-http-status", "304"),) if known else ()
    await context.send_initial_metadata((("etag", etag), *status))


class _RestFiles(files_grpc.RestFileServiceServicer):
    """Streams files itself: the way without a shared file system."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def DownloadFile(self, request, context):
        metadata = self._upstream.saw(context, "DownloadFile")
        path = self._upstream.artifacts / request.file_path
        if not path.resolve().is_relative_to(self._upstream.artifacts.resolve()):
            detail = {"detail": "Access to this file is not allowed"}
            await _abort(context, grpc.StatusCode.PERMISSION_DENIED, detail, http_status=403)
        if not path.is_file():
            await _abort(
                context, grpc.StatusCode.NOT_FOUND, {"detail": "File not found"}, http_status=404
            )
        content = path.read_bytes()
        described = [("etag", '"streamed"'), ("accept-ranges", "bytes")]
        if metadata.get("if-none-match") == '"streamed"':
            await context.send_initial_metadata((("x-http-status", "304"), *described))
            yield files_pb.DownloadFileResponse()
            return
        try:
            span = RANGE.fullmatch(_span(metadata.get("range", ""), len(content)))
        except ValueError:
            trailing = (
                ("x-http-status", "416"),
                ("x-error-json", '{"detail": "Range Not Satisfiable"}'),
                ("content-range", f"bytes */{len(content)}"),
            )
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "refused", trailing)
        if span:
            first, last = int(span[1]), int(span[2])
            described.append(("x-http-status", "206"))
            described.append(("content-range", f"bytes {first}-{last}/{len(content)}"))
            content = content[first : last + 1]
        described.append(("x-content-length", str(len(content))))
        await context.send_initial_metadata(tuple(described))
        if metadata["x-envoy-original-method"] == "HEAD":
            content = b""
        yield files_pb.DownloadFileResponse(
            body=httpbody_pb2.HttpBody(content_type="video/mp4", data=content)
        )


class _Tasks(task_grpc.TaskServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def GetTask(self, request, context):
        self._upstream.saw(context, "GetTask")
        if request.task_id == "missing":
            details = any_pb2.Any()
            details.Pack(error_details_pb2.ErrorInfo(reason="TASK_NOT_FOUND", domain="telefuser"))
            status = status_pb2.Status(
                code=code_pb2.NOT_FOUND, message="Task not found", details=[details]
            )
            await context.abort_with_status(rpc_status.to_status(status))
        if request.task_id == "slow":
            await asyncio.Event().wait()
        return task_pb.GetTaskResponse(task={"task_id": request.task_id})

    async def CreateTask(self, request, context):
        return task_pb.CreateTaskResponse(task={"task_id": str(len(request.prompt))})

    async def WatchTask(self, request, context):
        for sequence in range(1, 4):
            yield task_pb.WatchTaskResponse(event={"sequence": sequence})


class _Artifacts(artifact_grpc.ArtifactServiceServicer):
    async def UploadInput(self, request_iterator, context):
        size = 0
        async for request in request_iterator:
            size += request.ByteSize()
        await context.send_initial_metadata((("x-received", str(size)),))
        return artifact_pb.UploadInputResponse()


class _Authorization(auth_grpc.AuthorizationServicer):
    """Says which file a download means; README.md of the gateway is its contract."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def Check(self, request, context):
        asked = request.attributes.request.http
        self._upstream.saw(context, "Check")
        self._upstream.asked = dict(asked.headers)
        name = unquote(urlsplit(asked.path).path).removeprefix("/v1/files/download/")
        root = self._upstream.artifacts.resolve()
        path = (root / name).resolve()
        if name == "explode":
            raise RuntimeError("the check breaks")
        if name == "elsewhere":
            return _denied(302, None, location="https://bucket.example/clip?signature=x")
        if name == "revoked":
            unknown = {"error": {"code": "invalid_api_key"}, "detail": "The API key is not valid"}
            return _denied(401, unknown, **{"www-authenticate": "Bearer"})
        if name == "vanished":
            return _allowed("gone.mp4", "", {})
        if not path.is_relative_to(root):
            return _denied(403, {"detail": "Access to this file is not allowed"})
        if not path.is_file():
            return _denied(404, {"detail": "File not found"})
        if "?" in path.name:
            return auth_pb.CheckResponse(ok_response=auth_pb.OkHttpResponse())
        size = path.stat().st_size
        etag = f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"'
        validators = {"etag": etag, "last-modified": email.utils.formatdate(0, usegmt=True)}
        if asked.headers.get("if-none-match") in (etag, "*"):
            return _denied(304, None, **validators)
        try:
            span = _span(asked.headers.get("range", ""), size)
        except ValueError:
            unsatisfiable = {"content-range": f"bytes */{size}"}
            return _denied(416, {"detail": "Range Not Satisfiable"}, **unsatisfiable)
        if asked.headers.get("if-range") not in (None, etag):
            span = ""
        return _allowed(str(path.relative_to(root)), span, validators)


def _allowed(path: str, span: str, validators: dict[str, str]) -> auth_pb.CheckResponse:
    name = path.rpartition("/")[2]
    added = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}", **validators}
    return auth_pb.CheckResponse(
        ok_response=auth_pb.OkHttpResponse(
            headers=[_header(":path", PREFIX + quote(path)), _header("range", span)],
            response_headers_to_add=[_header(key, value) for key, value in added.items()],
        )
    )


def _span(text: str, size: int) -> str:
    """The range as Envoy's file server understands it, empty for the whole file."""
    wanted = RANGE.fullmatch(text)
    if wanted is None or wanted[0] == "bytes=-":
        return ""
    first, last = wanted[1], wanted[2]
    if first and last and int(first) > int(last):
        return ""
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise ValueError(text)
    return f"bytes={start}-{end}"


def _denied(code: int, body: object, **headers: str) -> auth_pb.CheckResponse:
    options = [_header(key.replace("_", "-"), value) for key, value in headers.items()]
    if body is not None:
        options.append(_header("content-type", "application/json"))
    return auth_pb.CheckResponse(
        status=status_pb2.Status(code=code_pb2.PERMISSION_DENIED),
        denied_response=auth_pb.DeniedHttpResponse(
            status=auth_pb.HttpStatus(code=code),
            headers=options,
            body="" if body is None else json.dumps(body),
        ),
    )


def _header(key: str, value: str) -> auth_pb.HeaderValueOption:
    return auth_pb.HeaderValueOption(
        header=auth_pb.HeaderValue(key=key, value=value),
        append_action=auth_pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
