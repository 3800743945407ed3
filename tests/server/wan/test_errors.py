"""Refusals of the Wan2.1 interface that no request of a test can cause."""

import re

import pytest

from telefuser_grpc.errors import (
    NoCapacity,
    OffsetOutOfRange,
    PipelineNotReady,
    ShuttingDown,
    StorageFull,
    TeleFuserError,
    Unauthenticated,
)
from telefuser_grpc.server.keys import MISSING, NOT_BEARER, UNKNOWN
from telefuser_grpc.server.wan.errors import TooLargeForMemory, wan_wording


@pytest.mark.parametrize(
    ("message", "reason"),
    [(MISSING, "缺少认证头"), (NOT_BEARER, "无效的认证方案"), (UNKNOWN, "无效的API密钥")],
)
def test_caller_without_a_key_gets_401_and_the_documented_text(message: str, reason: str) -> None:
    refusal = wan_wording(Unauthenticated(message))

    assert refusal.status == 401
    assert refusal.body == {"detail": {"status": "Failed", "reason": reason}}
    assert refusal.headers["www-authenticate"] == "Bearer"


def test_video_that_memory_cannot_hold_is_500_with_the_documented_advice() -> None:
    refusal = wan_wording(TooLargeForMemory())

    assert refusal.status == 500
    assert refusal.body == {"detail": {"status": "Failed", "reason": "显存不足，请降低分辨率"}}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PipelineNotReady(), 503),
        (ShuttingDown(), 503),
        (NoCapacity(), 503),
        (StorageFull(), 507),
        (OffsetOutOfRange(7), 416),
        (TeleFuserError("a fault with a path /srv"), 500),
    ],
)
def test_fault_of_the_service_is_told_in_chinese_and_tells_nothing_inner(
    error: TeleFuserError, status: int
) -> None:
    refusal = wan_wording(error)

    assert refusal.status == status
    assert re.search("[一-鿿]", refusal.body["detail"]["reason"])
    assert "/srv" not in refusal.json
