"""The bodies of the Wan2.1 image-to-video API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from telefuser_grpc.domain.task import Task, TaskState

MODEL = "Wan2.1-I2V-14B-480P"
OUT_OF_MEMORY = "显存不足，请降低分辨率"
CANCELLED = "用户主动取消"
FAILURES = {
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
    "TASK_TIMEOUT": "任务执行超时",
    "TASK_STALLED": "任务长时间无进展，已停止",
    "REPLICA_DIED": "推理进程异常退出",
    "OUTPUT_INVALID": "生成结果无效",
    "NO_CAPACITY": "没有可用的推理进程",
}
WORDS = {
    TaskState.PENDING: "InQueue",
    TaskState.PROCESSING: "InProgress",
    TaskState.CANCELLING: "InProgress",
    TaskState.COMPLETED: "Succeed",
    TaskState.FAILED: "Failed",
    TaskState.CANCELLED: "Cancelled",
}


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


Number = BeforeValidator(_no_boolean)


class WanSubmitBody(BaseModel):
    """The body of `POST /video/submit`."""

    model: Annotated[str, StringConstraints(max_length=200)] = Field(
        MODEL, description="The documented name, or that of the pipeline that is served."
    )
    image_url: Annotated[str, StringConstraints(min_length=1)] = Field(
        description="An http or https address of the image that everybody may read."
    )
    prompt: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)
    ] = Field(description="What happens in the video: 10 to 500 characters.")
    image_size: Literal["480x832", "832x480", "auto"] = Field(
        "auto", description="Width x height; `auto` keeps the ratio of the image."
    )
    num_frames: Annotated[int, Number] = Field(
        81, ge=24, le=120, description="Frames; made is one more than a multiple of four."
    )
    guidance_scale: Annotated[float, Number] = Field(
        3.0, ge=1, le=20, allow_inf_nan=False, description="How closely it follows the prompt."
    )
    infer_steps: Annotated[int, Number] = Field(
        30, ge=20, le=100, description="Steps of denoising."
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1), Number] | None = Field(
        None, description="Makes the result repeatable; null for one that is chosen, and told."
    )
    negative_prompt: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="What not to show."
    )


class WanTaskBody(BaseModel):
    """The body of `POST /video/status` and `POST /video/cancel`."""

    requestId: Annotated[str, StringConstraints(min_length=32, max_length=32)] = Field(
        description="What the submission was answered with."
    )


def status_body(task: Task, *, url: str, queue_position: int | None) -> dict[str, Any]:
    """Writes a task as `POST /video/status` documents it; the link is of its video, if made."""
    return {
        "status": WORDS[task.state],
        "reason": _reason(task),
        "results": _results(task, url) if task.artifacts else None,
        "queue_position": queue_position,
    }


def _reason(task: Task) -> str | None:
    if task.state is TaskState.CANCELLED:
        return CANCELLED
    if task.state is not TaskState.FAILED or task.error is None:
        return None
    return FAILURES.get(task.error.reason) or f"视频生成失败: {task.error.message}"


def _results(task: Task, url: str) -> dict[str, Any]:
    return {
        "videos": [{"url": url}],
        "timings": {"inference": _seconds(task)},
        "seed": task.fields["seed"],
        "num_frames": task.fields["num_frames"],
        "image_size": f"{task.fields['width']}x{task.fields['height']}",
    }


def _seconds(task: Task) -> int:
    """Returns how long a task that was made has run, from its start to its end."""
    assert task.started_at is not None
    assert task.finished_at is not None
    return round((task.finished_at - task.started_at).total_seconds())
