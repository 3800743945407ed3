"""The refusals of the Wan2.1 image-to-video API: what is wrong, in Chinese as documented."""

import re
from collections.abc import Mapping
from typing import Any

from telefuser_grpc.errors import (
    ArtifactNotFound,
    Code,
    Exhausted,
    InputRejected,
    InvalidFields,
    InvalidRequest,
    NoCapacity,
    OffsetOutOfRange,
    PipelineNotReady,
    QueueFull,
    ShuttingDown,
    StorageFull,
    TaskNotFound,
    TeleFuserError,
    Unavailable,
    UploadTooLarge,
)
from telefuser_grpc.server.rest.bodies import Malformed, detail
from telefuser_grpc.server.wan.bodies import OUT_OF_MEMORY
from telefuser_grpc.server.wording import Refusal, common_headers

NAMES = {
    "first_image_path": "image_url",
    "num_inference_steps": "infer_steps",
    "width": "image_size",
    "height": "image_size",
    "task": "model",
}
RULES = {
    "model": "模型名称无效，请使用本服务提供的模型",
    "image_url": "必须是HTTP/HTTPS图像地址",
    "prompt": "长度必须为10-500个字符",
    "image_size": "只能是 480x832、832x480 或 auto",
    "num_frames": "必须是24-120之间的整数",
    "guidance_scale": "必须是1.0-20.0之间的数字",
    "infer_steps": "必须是20-100之间的整数",
    "seed": "必须是0-2147483647之间的整数",
    "negative_prompt": "最多500个字符",
    "requestId": "必须是提交任务时返回的32位字符串",
}
MISSING = "缺少必填字段"
NO_OBJECT = "请求体必须是JSON对象"
DOWNLOAD_FAILED = "图像下载失败: "
DOWNLOAD_FAULTS: Mapping[str, str] = {
    r"its host answers (\d+)": r"图像服务器返回状态码 \1",
    r"it took longer than (\S+) s": r"下载超时（\1秒）",
    r"its host does not answer": "图像服务器没有响应或超时",
    r"its host has no address": "无法访问该主机，请使用可公开访问的地址",
    r"its port is not": "不允许的端口，请使用80或443端口",
    r"it redirects": "重定向无效或次数过多",
    r"its certificate": "证书不受信任",
    r"it holds a user name": "地址不能包含用户名或密码",
    r"its host sends it compressed": "图像服务器返回了压缩内容",
    r"": "URL无效",
}
KEY_FAULTS: Mapping[str, str] = {
    r"No API key": "缺少认证头",
    r"The Authorization header": "无效的认证方案",
    r"": "无效的API密钥",
}
REASONS: Mapping[type[TeleFuserError], str] = {
    TaskNotFound: "无效的任务ID",
    ArtifactNotFound: "文件不存在或已过期",
    OffsetOutOfRange: "请求的范围超出文件大小",
    QueueFull: "任务队列已满，请稍后重试",
    StorageFull: "服务器存储空间不足，请稍后重试",
    NoCapacity: "没有可用的推理进程，请联系管理员",
    Exhausted: "资源不足，请稍后重试",
    PipelineNotReady: "模型正在加载，请稍后重试",
    ShuttingDown: "服务正在停止，请稍后重试",
    Unavailable: "服务暂不可用，请稍后重试",
}


class WanRefused(InvalidRequest):
    """A request that makes no sense now; the message is what the caller reads."""


class WanDisabled(TeleFuserError):
    """The service has no API keys, and this interface is for their holders only."""

    code = Code.UNAVAILABLE
    http_status = 503

    def __init__(self) -> None:
        super().__init__("服务未配置API密钥，视频接口未启用；请管理员设置 TELEFUSER_API_KEYS")


class TooLargeForMemory(TeleFuserError):
    """Earlier runs tell that the device has no room for such a video."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_MEMORY)


OWN = (WanRefused, WanDisabled, TooLargeForMemory)


def unknown_model(model: str, served: str) -> Malformed:
    """Returns the refusal of a model that is not served here."""
    why = f"不支持的模型 {model!r}，本服务提供 {served!r}"
    return Malformed([detail(["body", "model"], why, "enum")])


def wan_wording(error: TeleFuserError) -> Refusal:
    """Words an error as this interface does; the statuses are those that it documents."""
    if isinstance(error, InvalidFields):
        return Refusal(status=422, body={"detail": _faults(error)})
    body = {"detail": {"status": "Failed", "reason": _reason(error)}}
    status = 400 if isinstance(error, InvalidRequest) else error.http_status
    return Refusal(status=status, body=body, headers=common_headers(error))


def _faults(error: InvalidFields) -> list[dict[str, Any]]:
    if isinstance(error, Malformed):
        return [{**each, "msg": _rule(each)} for each in error.details]
    return [
        detail(["body", NAMES.get(each.field, each.field)], each.message, each.type)
        for each in error.violations
    ]


def _rule(fault: Mapping[str, Any]) -> str:
    """Says what a field must be; its own fault tells more only where there is no rule."""
    field = fault["loc"][1] if len(fault["loc"]) > 1 else ""
    if field not in RULES:
        is_about_body = fault["type"] in ("missing", "json_invalid", "model_attributes_type")
        return NO_OBJECT if is_about_body else str(fault["msg"])
    if fault["msg"].startswith("不"):
        return str(fault["msg"])
    rule = f"{field} {RULES[field]}"
    return f"{MISSING}: {rule}" if fault["type"] == "missing" else rule


def _reason(error: TeleFuserError) -> str:
    if isinstance(error, OWN):
        return error.message
    if error.http_status == 401:
        return _translated(error.message, KEY_FAULTS)
    if isinstance(error, UploadTooLarge):
        return f"{DOWNLOAD_FAILED}图像超过{error.metadata['limit_bytes']}字节"
    if isinstance(error, InputRejected):
        return DOWNLOAD_FAILED + _download_fault(error)
    if isinstance(error, InvalidRequest):
        return f"参数错误: {error.message}"
    known = (text for kind, text in REASONS.items() if isinstance(error, kind))
    return next(known, "服务器内部错误")


def _download_fault(error: InputRejected) -> str:
    _, is_url, why = error.message.partition(" URL is not accessible: ")
    if is_url:
        return _translated(why, DOWNLOAD_FAULTS)
    return f"内容不是可用的图像（{error.violations[0].message}）"


def _translated(text: str, table: Mapping[str, str]) -> str:
    for pattern, chinese in table.items():
        if match := re.match(pattern, text):
            return match.expand(chinese)
    raise AssertionError("the last pattern matches all")
