"""How a stream of images ends whose servicer did not see the error: a revoked key, or a fault."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.server.openai.image_answers import frame
from telefuser_grpc.server.rest.sse import CONTENT_TYPE
from telefuser_grpc.server.wording import Refusal

PACKAGE = "openai."


def last_word(sent: Any, refusal: Refusal) -> Any:
    """Returns an event with the error behind what was sent; None where no such stream has begun.

    The status of a stream that has begun cannot change, and the official SDKs take an end without
    an event for a whole answer.
    """
    if sent is None or not sent.DESCRIPTOR.full_name.startswith(PACKAGE):
        return None
    if sent.body.content_type != CONTENT_TYPE:
        return None
    event = frame({"type": "error", "error": refusal.body["error"]})
    return type(sent)(body=HttpBody(content_type=CONTENT_TYPE, data=event))
