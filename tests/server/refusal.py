"""What a native caller can read in an error."""

from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error of a call: its status, and its details unpacked.

    Attributes:
        violations: The reasons of BadRequest, by field.
        retry_seconds: From RetryInfo; None where there is none.
    """

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]
    retry_seconds: int | None


async def refusal(call: Any) -> Refusal:
    """Waits for the error that ends a call, unary or streaming."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _to_the_end(call)
    return read_refusal(caught.value)


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Unpacks an error."""
    status = rpc_status.from_call(error)
    assert status is not None, "an error without google.rpc.Status"
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    has_retry = False
    for detail in status.details:
        assert detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(retry)
        has_retry = has_retry or detail.Is(retry.DESCRIPTOR)
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations={each.field: each.reason for each in bad.field_violations},
        retry_seconds=retry.retry_delay.seconds if has_retry else None,
    )


async def _to_the_end(call: Any) -> None:
    if isinstance(call, grpc.aio.UnaryStreamCall):
        async for _ in call:
            pass
    else:
        await call
