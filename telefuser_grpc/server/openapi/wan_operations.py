"""The operations of the Wan2.1 image-to-video API."""

from typing import Any

from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.schemas import inline
from telefuser_grpc.server.openapi.task_operations import BINARY, FILE_HEADERS
from telefuser_grpc.server.openapi.wan_bodies import (
    REQUEST_ID,
    VIDEO_NAME,
    WanCancelled,
    WanRefusal,
    WanStatus,
    WanSubmitted,
)
from telefuser_grpc.server.wan.bodies import WanSubmitBody, WanTaskBody

TAG = "Wan2.1"
KEY = "Needs `Authorization: Bearer <key>`; a service without keys answers 503."
VIDEO = {"video/mp4": Content(schema=BINARY)}
SUBMISSION = {
    "model": "Wan2.1-I2V-14B-480P",
    "prompt": "A dancing cat in the style of Van Gogh",
    "image_url": "https://example.com/input.jpg",
    "image_size": "auto",
    "num_frames": 81,
    "guidance_scale": 3.0,
    "infer_steps": 30,
}
QUEUED = {"status": "InQueue", "reason": None, "results": None, "queue_position": 1}
SUCCEEDED = {
    "status": "Succeed",
    "reason": None,
    "results": {
        "videos": [{"url": f"http://localhost:8088/videos/{VIDEO_NAME}"}],
        "timings": {"inference": 90},
        "seed": 123456,
        "num_frames": 81,
        "image_size": "832x464",
    },
    "queue_position": None,
}
FAILED = QUEUED | {"status": "Failed", "reason": "显存不足，请降低分辨率", "queue_position": None}
FAULT = {
    "type": "greater_than_equal",
    "loc": ["body", "num_frames"],
    "msg": "num_frames 必须是24-120之间的整数",
}


def _refusal(description: str, *reasons: str, headers: tuple[str, ...] = ()) -> Answer:
    examples = {reason: {"detail": {"status": "Failed", "reason": reason}} for reason in reasons}
    return json_answer(description, WanRefusal, examples, headers=headers)


UNAUTHENTICATED = _refusal(
    "No key, or not a known one.", "缺少认证头", "无效的认证方案", "无效的API密钥"
)
WRONG_FIELDS = json_answer(
    "Fields are wrong, or the body is no JSON object.",
    WanRefusal,
    {"field": {"detail": [FAULT]}},
)
UNKNOWN = _refusal("No such task.", "无效的任务ID")
FAULT_OF_OURS = _refusal(
    "The device has no room for such a video, or the server met a fault of its own.",
    "显存不足，请降低分辨率",
    "服务器内部错误",
)
UNAVAILABLE = _refusal(
    "The service has no keys, its queue is full, or its model is not loaded.",
    "任务队列已满，请稍后重试",
    "模型正在加载，请稍后重试",
)
TOO_MANY = _refusal(
    "Too many requests from this address.",
    "请求过于频繁，请稍后重试",
    headers=("Retry-After",),
)
TOO_LARGE = _refusal("The body is larger than allowed.", "请求体过大")
TOO_LATE = _refusal("The body stopped coming.", "请求体未能及时送达")
COMMON = {
    401: UNAUTHENTICATED,
    408: TOO_LATE,
    413: TOO_LARGE,
    422: WRONG_FIELDS,
    429: TOO_MANY,
    500: FAULT_OF_OURS,
    503: UNAVAILABLE,
}


def _request(model: Any, *examples: tuple[str, dict[str, Any]]) -> dict[str, Content]:
    return {JSON: Content(schema=inline(model), examples=dict(examples))}


def _link(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "requestBody": {"requestId": "$response.body#/requestId"},
    }


ABOUT_TASK = _request(WanTaskBody, ("a task", {"requestId": REQUEST_ID}))

WAN_OPERATIONS = {
    "WanService.SubmitVideo": Operation(
        tag=TAG,
        summary="Submit a video",
        description="Fetches the image, and admits a task that makes a video of it. What is wrong "
        "with the image is told at once. At most two of these tasks run together; others wait. "
        f"The video is removed an hour after the end of its task. {KEY}",
        request=_request(
            WanSubmitBody,
            ("all fields", SUBMISSION),
            (
                "few fields",
                {
                    "prompt": "Sunset scene with mountains",
                    "image_url": "https://example.com/mountain.jpg",
                    "image_size": "auto",
                    "num_frames": 50,
                },
            ),
        ),
        answers={
            202: json_answer(
                "The task is safe on disk and will be finished.",
                WanSubmitted,
                {"accepted": {"requestId": REQUEST_ID}},
                links={"status": _link("getVideoStatus"), "cancel": _link("cancelVideo")},
            ),
            400: _refusal(
                "The image cannot be had, or is of no shape that a video may have.",
                "图像下载失败: 图像服务器返回状态码 404",
                "图像下载失败: 下载超时（10秒）",
                "图像宽高比超过8:1，请裁剪后重试，或指定分辨率",
            ),
            **COMMON,
        },
        errors=("RateLimited", "StorageFull"),
    ),
    "WanService.GetVideoStatus": Operation(
        tag=TAG,
        summary="Get the status of a video",
        operation_id="getVideoStatus",
        description=f"Returns a task as it is now. {KEY}",
        request=ABOUT_TASK,
        answers={
            200: json_answer(
                "The task.",
                WanStatus,
                {"waiting": QUEUED, "finished": SUCCEEDED, "failed": FAILED},
            ),
            404: UNKNOWN,
            **COMMON,
        },
        errors=("RateLimited",),
    ),
    "WanService.CancelVideo": Operation(
        tag=TAG,
        summary="Cancel a video",
        description="A waiting task is cancelled at once, a running one at its next step; one that "
        f"has ended is refused. {KEY}",
        request=ABOUT_TASK,
        answers={
            200: json_answer(
                "The task is being stopped.", WanCancelled, {"cancelled": {"status": "Succeed"}}
            ),
            400: _refusal("The task has ended.", "仅允许取消排队任务，当前状态: Succeed"),
            404: UNKNOWN,
            **COMMON,
        },
        errors=("RateLimited",),
    ),
    "WanService.GetVideoFile": Operation(
        tag=TAG,
        summary="Get a video's file",
        description="Sends a video. Its name is its key: 32 random hexadecimal digits. `HEAD` "
        "sends the headers alone.",
        parameters={
            "file": Parameter(
                description="The name of the file, from the `url` of its task.",
                example=VIDEO_NAME,
            ),
        },
        headers=("Range", "If-Range", "If-None-Match"),
        answers={
            200: Answer(description="The whole video.", content=VIDEO, headers=FILE_HEADERS),
            206: Answer(
                description="The part that was asked for.",
                content=VIDEO,
                headers=(*FILE_HEADERS, "Content-Range"),
            ),
            304: Answer(description="The video is the one you have.", headers=("ETag",)),
            404: _refusal("No such video, or no longer.", "文件不存在或已过期"),
            416: _refusal(
                "The range begins beyond the end of the video.",
                "请求的范围超出文件大小",
                headers=("Content-Range",),
            ),
        },
        errors=("RateLimited",),
    ),
}
