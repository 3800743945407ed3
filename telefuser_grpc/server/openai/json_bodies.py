"""Bodies that are a JSON object or a form, as the content type of their first piece says."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.errors import UploadTooLarge

JSON = "application/json"


def is_json(first: HttpBody) -> bool:
    """Tells whether a body is JSON, by its first piece."""
    content_type: str = first.content_type
    return content_type.partition(";")[0].strip().lower() == JSON


async def whole(first: HttpBody, rest: AsyncIterator[HttpBody], max_bytes: int) -> HttpBody:
    """Returns a body in one piece. Raises UploadTooLarge."""
    data = bytearray(first.data)
    async for body in rest:
        data += body.data
        if len(data) > max_bytes:
            raise UploadTooLarge("body", max_bytes)
    return HttpBody(content_type=first.content_type, data=bytes(data))


async def again(first: HttpBody, rest: AsyncIterator[HttpBody]) -> AsyncIterator[HttpBody]:
    """Yields a body whose first piece was taken off."""
    yield first
    async for body in rest:
        yield body
