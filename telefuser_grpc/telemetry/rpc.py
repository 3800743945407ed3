"""Puts a context manager around any handler of grpc.aio, and tells how a call has ended."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import Any, TypeAlias

import grpc
from grpc import aio

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # subscripted for the type checker only
Around = Callable[[Context], AbstractContextManager[None]]

_CODES: dict[object, grpc.StatusCode] = {
    key: code for code in grpc.StatusCode for key in (code, code.value[0])
}


def wrapped(handler: Handler, around: Around) -> Handler:
    """Returns the handler with `around` open during each call of it.

    A handler that is not asynchronous is returned as it is.
    """
    behaviour, make = _taken_apart(handler)
    if inspect.isasyncgenfunction(behaviour):
        call = _written(behaviour, around)
    elif inspect.iscoroutinefunction(behaviour):
        call = _awaited(behaviour, around)
    else:
        return handler
    return make(call, handler.request_deserializer, handler.response_serializer)


@contextmanager
def ending(context: Context, report: Callable[[grpc.StatusCode], None]) -> Iterator[None]:
    """Reports the status with which the call inside has ended."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        report(_code_of(context, error))


def header(metadata: Any, name: str) -> str:
    """Returns a header of a request's metadata, "" where it is absent."""
    for key, value in metadata or ():
        if key == name:
            return str(value)
    return ""


def _taken_apart(handler: Handler) -> tuple[Any, Callable[..., Handler]]:
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return handler.unary_unary, grpc.unary_unary_rpc_method_handler
        case False, True:
            return handler.unary_stream, grpc.unary_stream_rpc_method_handler
        case True, False:
            return handler.stream_unary, grpc.stream_unary_rpc_method_handler
        case _:
            return handler.stream_stream, grpc.stream_stream_rpc_method_handler


def _awaited(behaviour: Any, around: Around) -> Any:
    async def call(request: Any, context: Context) -> Any:
        with around(context):
            return await behaviour(request, context)

    return call


def _written(behaviour: Any, around: Around) -> Any:
    # not a generator itself: one that is dropped midway would close in another context
    async def call(request: Any, context: Context) -> None:
        with around(context):
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    await context.write(response)

    return call


def _code_of(context: Context, error: BaseException | None) -> grpc.StatusCode:
    if isinstance(error, asyncio.CancelledError):
        return _code_of_cancelled(context)
    set_code: object = context.code() or 0  # a StatusCode, a number, or None if nobody set one
    code = _CODES.get(set_code, grpc.StatusCode.UNKNOWN)
    if error is not None and code is grpc.StatusCode.OK:
        return grpc.StatusCode.UNKNOWN
    return code


def _code_of_cancelled(context: Context) -> grpc.StatusCode:
    remaining: float | None = context.time_remaining()
    if remaining is not None and remaining <= 0:
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
