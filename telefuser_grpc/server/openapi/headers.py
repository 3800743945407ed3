"""The headers of requests and answers, each described once."""

from typing import Any

TEXT = {"type": "string"}
WHOLE = {"type": "integer", "minimum": 0}

REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Names the request in logs, traces and the answer: up to 128 letters, "
        "digits, `.`, `_` and `-`. Another value is replaced.",
        "schema": TEXT,
        "example": "checkout-42",
    },
    "Idempotency-Key": {
        "description": "Makes the request safe to repeat: the same key with the same request "
        "answers with the same task. Up to 128 characters.",
        "schema": {"type": "string", "maxLength": 128},
        "example": "order-7-attempt-1",
    },
    "Last-Event-ID": {
        "description": "Streams only events after this one: the last `id` that was seen. Browsers "
        "send it when they reconnect. Wins over `after_sequence`.",
        "schema": {"type": "string", "pattern": "^[0-9]{0,18}$"},
        "example": "0",
    },
    "Range": {
        "description": "Asks for one part of the file: `bytes=0-99`, `bytes=100-` or `bytes=-100`. "
        "Anything else is ignored.",
        "schema": TEXT,
        "example": "bytes=0-",
    },
    "If-Range": {
        "description": "Asks for the part only if the file still has this `ETag`, else for all.",
        "schema": TEXT,
        "example": '"5891b5b522d5df086d0ff0b110fbd9d2"',
    },
    "If-None-Match": {
        "description": "Asks for the body only if its `ETag` is none of these.",
        "schema": TEXT,
        "example": '"5891b5b522d5df086d0ff0b110fbd9d2"',
    },
}

RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's name in logs and traces.",
        "schema": TEXT,
        "example": "5c8e2f60-4f4e-4d0f-a6a1-1c1f6f0f3f0e",
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": WHOLE,
        "example": 5,
    },
    "OpenAI-Poll-After-Ms": {
        "description": "Milliseconds after which it is worth while to ask again, 500 to 10000; "
        "absent when the video has ended.",
        "schema": WHOLE,
        "example": 1000,
    },
    "X-Should-Retry": {
        "description": "Tells the official SDKs whether sending the request again makes sense.",
        "schema": {"type": "string", "enum": ["true", "false"]},
        "example": "false",
    },
    "ETag": {
        "description": "Changes with the content, and only with it.",
        "schema": TEXT,
        "example": '"5891b5b522d5df086d0ff0b110fbd9d2"',
    },
    "Cache-Control": {
        "description": "How long the body may be kept.",
        "schema": TEXT,
        "example": "private, max-age=31536000, immutable",
    },
    "Content-Disposition": {
        "description": "The name under which to save the file.",
        "schema": TEXT,
        "example": 'attachment; filename="film.mp4"',
    },
    "Content-Range": {
        "description": "Which bytes these are, and of how many; `bytes */<size>` where the range "
        "was impossible.",
        "schema": TEXT,
        "example": "bytes 0-99/18234",
    },
    "Accept-Ranges": {
        "description": "`bytes`: parts may be asked for.",
        "schema": {"type": "string", "const": "bytes"},
        "example": "bytes",
    },
    "X-RateLimit-Limit": {
        "description": "Requests that one address may send within the window.",
        "schema": WHOLE,
        "example": 60,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests that are left within the window.",
        "schema": WHOLE,
        "example": 59,
    },
    "X-RateLimit-Window": {
        "description": "The window in seconds.",
        "schema": WHOLE,
        "example": 60,
    },
}
RATE_HEADERS = tuple(each for each in RESPONSE_HEADERS if each.startswith("X-RateLimit-"))
