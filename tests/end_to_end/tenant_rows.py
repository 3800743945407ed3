"""Every question that a caller could ask: one row for each RPC, and for each documented path.

A new RPC or path needs a row here.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tests.end_to_end.tenants import Row, Things, body, form

GENERATION = {"image_base64": "bm8gcGljdHVyZQ==", "prompt": "a red ball rolls"}


def _named(field: str, thing: str, **more: Any) -> Callable[[Things], dict[str, Any]]:
    return lambda things: {field: getattr(things, thing)} | more


def _at(path: str, **more: Any) -> Callable[[Things], dict[str, Any]]:
    """Fills names of things in: into a path, and where a value is asked for them."""

    def ask(things: Things) -> dict[str, Any]:
        filled = {name: each(things) if callable(each) else each for name, each in more.items()}
        return {"url": path.format_map(asdict(things))} | filled

    return ask


def _task(things: Things) -> dict[str, Any]:
    return {"task": "i2v", "task_id": things.film, "first_image_path": f"upload:{things.upload}"}


def _image(things: Things) -> dict[str, str]:
    return {"prompt": "x", "image_url": f"upload:{things.upload}"}


def _video(things: Things) -> dict[str, str]:
    return {"prompt": "x", "input_reference": f"upload:{things.upload}"}


def _edited(things: Things) -> dict[str, Any]:
    return {"prompt": "x", "video": {"id": things.film}}


def _wan(things: Things) -> dict[str, str]:
    return {"requestId": things.wan}


RPCS: Mapping[str, Row] = {
    "telefuser.v1.TaskService.CreateTask": Row(
        lambda things: {
            "kind": "i2v",
            "taskId": things.film,
            "inputs": {"first_image_path": {"uploadId": things.upload}},
            "requestId": things.request_id,
        }
    ),
    "telefuser.v1.TaskService.GetTask": Row(_named("taskId", "film"), owner_learns=True),
    "telefuser.v1.TaskService.ListTasks": Row(owner_learns=True),
    "telefuser.v1.TaskService.CancelTask": Row(_named("taskId", "running")),
    "telefuser.v1.TaskService.DeleteTask": Row(_named("taskId", "image")),
    "telefuser.v1.TaskService.WatchTask": Row(_named("taskId", "running"), owner_learns=True),
    "telefuser.v1.TaskService.GetQueue": Row(owner_learns=True),
    "telefuser.v1.TaskService.WatchQueue": Row(owner_learns=True),
    "telefuser.v1.ArtifactService.UploadInput": Row(lambda _: [{"metadata": {"sizeBytes": 1}}]),
    "telefuser.v1.ArtifactService.DownloadArtifact": Row(
        _named("artifactId", "image_id"), owner_learns=True
    ),
    "telefuser.v1.ArtifactService.GetArtifact": Row(
        _named("artifactId", "film_path"), owner_learns=True
    ),
    "telefuser.v1.SystemService.GetHealth": Row(),
    "telefuser.v1.SystemService.GetReadiness": Row(),
    "telefuser.v1.SystemService.GetStatus": Row(owner_learns=True),
    "telefuser.v1.SystemService.GetMetadata": Row(),
    "telefuser.rest.v1.RestTaskService.CreateTask": Row(lambda things: body(_task(things))),
    "telefuser.rest.v1.RestTaskService.CreateTaskFromForm": Row(
        lambda things: form(data=_task(things))
    ),
    "telefuser.rest.v1.RestTaskService.ListTasks": Row(owner_learns=True),
    "telefuser.rest.v1.RestTaskService.GetTaskStatus": Row(
        _named("taskId", "image"), owner_learns=True
    ),
    "telefuser.rest.v1.RestTaskService.CancelTask": Row(_named("taskId", "running")),
    "telefuser.rest.v1.RestTaskService.GetQueueStatus": Row(owner_learns=True),
    "telefuser.rest.v1.RestTaskService.StreamTaskEvents": Row(
        _named("taskId", "film"), owner_learns=True
    ),
    "telefuser.rest.v1.RestFileService.DownloadFile": Row(
        _named("filePath", "film_path"), owner_learns=True
    ),
    "telefuser.rest.v1.RestSystemService.GetHealth": Row(),
    "telefuser.rest.v1.RestSystemService.GetReadiness": Row(),
    "telefuser.rest.v1.RestSystemService.GetStatus": Row(owner_learns=True),
    "telefuser.rest.v1.RestSystemService.GetMetadata": Row(),
    "telefuser.rest.v1.RestSystemService.GetMetrics": Row(),
    "telefuser.rest.v1.RestSystemService.GetMetricsJson": Row(),
    "telefuser.rest.v1.RestDocsService.GetOpenApi": Row(),
    "telefuser.rest.v1.RestDocsService.GetSwaggerUi": Row(),
    "telefuser.rest.v1.RestDocsService.GetRedoc": Row(),
    "telefuser.rest.v1.RestDocsService.GetDocsAsset": Row(lambda _: {"name": "redoc.js"}),
    "openai.v1.ImageService.CreateImage": Row(lambda _: body({"prompt": "x", "n": "no number"})),
    "openai.v1.ImageService.CreateImageEdit": Row(lambda things: form(data=_image(things))),
    "openai.v1.ImageService.CreateImageVariation": Row(lambda things: form(data=_image(things))),
    "openai.v1.ImageService.GetImageContent": Row(_named("imageId", "image"), owner_learns=True),
    "openai.v1.ModelService.ListModels": Row(),
    "openai.v1.ModelService.GetModel": Row(_named("model", "film")),
    "openai.v1.VideoService.CreateVideo": Row(lambda things: [body(_video(things))]),
    "openai.v1.VideoService.ListVideos": Row(_named("after", "film"), owner_learns=True),
    "openai.v1.VideoService.GetVideo": Row(_named("videoId", "film"), owner_learns=True),
    "openai.v1.VideoService.DeleteVideo": Row(_named("videoId", "film")),
    "openai.v1.VideoService.GetVideoContent": Row(
        _named("videoId", "film", variant="thumbnail"), owner_learns=True
    ),
    "openai.v1.VideoService.RemixVideo": Row(
        lambda things: {"videoId": things.film} | body({"prompt": "x"})
    ),
    "openai.v1.VideoService.EditVideo": Row(lambda things: [body(_edited(things))]),
    "openai.v1.VideoService.ExtendVideo": Row(lambda things: [body(_edited(things))]),
    "openai.v1.VideoService.CreateCharacter": Row(lambda _: form(data={"name": "x"})),
    "openai.v1.VideoService.GetCharacter": Row(_named("characterId", "film")),
    "wan.v1.WanService.SubmitVideo": Row(lambda _: body({"model": "no such model"})),
    "wan.v1.WanService.GetVideoStatus": Row(lambda things: body(_wan(things)), owner_learns=True),
    "wan.v1.WanService.CancelVideo": Row(lambda things: body(_wan(things))),
    "wan.v1.WanService.GetVideoFile": Row(_named("file", "wan_file"), is_public=True),
    "image_to_video.v1.GenerationService.GetHealth": Row(),
    "image_to_video.v1.GenerationService.Generate": Row(lambda _: body(GENERATION)),
    "image_to_video.v1.GenerationService.GetOutput": Row(
        _named("file", "generated_file"), owner_learns=True
    ),
}

ROUTES: Mapping[tuple[str, str], Row] = {
    ("POST", "/v1/tasks/create"): Row(_at("/v1/tasks/create", json=_task)),
    ("POST", "/v1/tasks/form"): Row(_at("/v1/tasks/form", data=_task)),
    ("GET", "/v1/tasks"): Row(_at("/v1/tasks"), owner_learns=True),
    ("GET", "/v1/tasks/{task_id}/status"): Row(_at("/v1/tasks/{film}/status"), owner_learns=True),
    ("GET", "/v1/tasks/{task_id}/events"): Row(
        _at("/v1/tasks/{running}/events"), owner_learns=True
    ),
    ("DELETE", "/v1/tasks/{task_id}"): Row(_at("/v1/tasks/{running}")),
    ("GET", "/v1/tasks/queue/status"): Row(_at("/v1/tasks/queue/status"), owner_learns=True),
    ("GET", "/v1/files/download/{file_path=**}"): Row(
        _at("/v1/files/download/{film_path}"), owner_learns=True
    ),
    ("HEAD", "/v1/files/download/{file_path=**}"): Row(
        _at("/v1/files/download/{image_path}"), owner_learns=True
    ),
    ("GET", "/v1/service/health"): Row(_at("/v1/service/health")),
    ("GET", "/v1/service/ready"): Row(_at("/v1/service/ready")),
    ("GET", "/v1/service/status"): Row(_at("/v1/service/status"), owner_learns=True),
    ("GET", "/v1/service/metadata"): Row(_at("/v1/service/metadata")),
    ("GET", "/v1/service/metrics"): Row(_at("/v1/service/metrics")),
    ("GET", "/v1/service/metrics/json"): Row(_at("/v1/service/metrics/json")),
    ("GET", "/openapi.json"): Row(_at("/openapi.json")),
    ("GET", "/docs"): Row(_at("/docs")),
    ("GET", "/redoc"): Row(_at("/redoc")),
    ("GET", "/docs/assets/{name}"): Row(_at("/docs/assets/redoc.js")),
    ("POST", "/v1/images/generations"): Row(
        _at("/v1/images/generations", json={"prompt": "x", "n": "no number"})
    ),
    ("POST", "/v1/images/edits"): Row(_at("/v1/images/edits", data=_image)),
    ("POST", "/v1/images/variations"): Row(_at("/v1/images/variations", data=_image)),
    ("GET", "/v1/images/{image_id}/content"): Row(
        _at("/v1/images/{image}/content"), owner_learns=True
    ),
    ("HEAD", "/v1/images/{image_id}/content"): Row(
        _at("/v1/images/{image}/content"), owner_learns=True
    ),
    ("GET", "/v1/models"): Row(_at("/v1/models")),
    ("GET", "/v1/models/{model=**}"): Row(_at("/v1/models/{film}")),
    ("POST", "/v1/videos"): Row(_at("/v1/videos", json=_video)),
    ("GET", "/v1/videos"): Row(_at("/v1/videos?after={film}"), owner_learns=True),
    ("GET", "/v1/videos/{video_id}"): Row(_at("/v1/videos/{film}"), owner_learns=True),
    ("DELETE", "/v1/videos/{video_id}"): Row(_at("/v1/videos/{film}")),
    ("GET", "/v1/videos/{video_id}/content"): Row(
        _at("/v1/videos/{film}/content"), owner_learns=True
    ),
    ("HEAD", "/v1/videos/{video_id}/content"): Row(
        _at("/v1/videos/{film}/content"), owner_learns=True
    ),
    ("POST", "/v1/videos/{video_id}/remix"): Row(
        _at("/v1/videos/{film}/remix", json={"prompt": "x"})
    ),
    ("POST", "/v1/videos/edits"): Row(_at("/v1/videos/edits", json=_edited)),
    ("POST", "/v1/videos/extensions"): Row(_at("/v1/videos/extensions", json=_edited)),
    ("POST", "/v1/videos/characters"): Row(_at("/v1/videos/characters", data={"name": "x"})),
    ("GET", "/v1/videos/characters/{character_id}"): Row(_at("/v1/videos/characters/{film}")),
    ("POST", "/video/submit"): Row(_at("/video/submit", json={"model": "no such model"})),
    ("POST", "/video/status"): Row(_at("/video/status", json=_wan), owner_learns=True),
    ("POST", "/video/cancel"): Row(_at("/video/cancel", json=_wan)),
    ("DELETE", "/video/cancel"): Row(_at("/video/cancel", json=_wan)),
    ("GET", "/videos/{file}"): Row(_at("/videos/{wan_file}"), is_public=True),
    ("HEAD", "/videos/{file}"): Row(_at("/videos/{wan_file}"), is_public=True),
    ("GET", "/health"): Row(_at("/health")),
    ("POST", "/generate"): Row(_at("/generate", json=GENERATION)),
    ("POST", "/v1/generate"): Row(_at("/v1/generate", json=GENERATION)),
    ("GET", "/outputs/{file}"): Row(_at("/outputs/{generated_file}"), owner_learns=True),
    ("HEAD", "/outputs/{file}"): Row(_at("/outputs/{generated_file}"), owner_learns=True),
}
