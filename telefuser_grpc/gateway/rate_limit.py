"""Who may ask how often: which calls take a token of a client's buckets, and which none.

Creating a task, uploading and downloading are expensive, over REST and over gRPC; all other
documented calls are reads, of which a client may make ten times as many. Generations, whose callers
wait for the video, have a bucket and a documented limit of their own. Probes are free, and so are
the reads of gRPC callers, who watch instead of asking again.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from telefuser_grpc.gateway.descriptors import HttpRoute
from telefuser_grpc.gateway.options import RateLimit

Config = dict[str, Any]

_EXPENSIVE = {
    "POST": (
        r"/v1/tasks/(create|form)|/v1/(images|videos)(/.*)?|/video/submit|/v1/stream/webrtc/offer"
    ),
    "GET": r"/v1/files/download/.*",
}
_GENERATIONS = r"(/v1)?/generate"
_GENERATIONS_LIMIT = 10
_FREE = r"/v1/service/(health|ready|metrics|metrics/json)|/health"
_EXPENSIVE_CALLS = frozenset(
    {
        "/telefuser.v1.TaskService/CreateTask",
        "/telefuser.v1.ArtifactService/UploadInput",
        "/telefuser.v1.ArtifactService/DownloadArtifact",
        "/telefuser.v1.SessionService/Interact",
        "/telefuser.v1.SessionService/OfferSession",
    }
)
_CLIENT = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}


class Bucket(StrEnum):
    """A client's tokens of one kind; every request takes one."""

    EXPENSIVE = "expensive"
    READS = "reads"
    GENERATIONS = "generations"

    def limit(self, options: RateLimit) -> int:
        """Returns how many requests a window allows, without the burst."""
        if self is Bucket.GENERATIONS:
            return _GENERATIONS_LIMIT
        return options.requests_per_minute * (10 if self is Bucket.READS else 1)

    def capacity(self, options: RateLimit) -> int:
        """Returns how many requests may come at once."""
        return self.limit(options) + (0 if self is Bucket.GENERATIONS else options.burst)


def bucket_of(route: HttpRoute) -> Bucket | None:
    """Returns what a documented call takes its token from; None for a free one."""
    if re.fullmatch(_FREE, route.example):
        return None
    if route.verb == "POST" and re.fullmatch(_GENERATIONS, route.example):
        return Bucket.GENERATIONS
    if re.fullmatch(_EXPENSIVE.get(route.verb, ""), route.example):
        return Bucket.EXPENSIVE
    return Bucket.READS


def call_bucket(path: str, routes: Iterable[HttpRoute]) -> Bucket | None:
    """Returns what gRPC callers of an RPC take a token from: as those of its REST routes do."""
    buckets = {bucket_of(each) for each in routes}
    if Bucket.GENERATIONS in buckets:
        return Bucket.GENERATIONS
    is_expensive = path in _EXPENSIVE_CALLS or Bucket.EXPENSIVE in buckets
    return Bucket.EXPENSIVE if is_expensive else None


def rest_limits(routes: Iterable[HttpRoute]) -> list[Config]:
    """Returns Envoy's `rate_limits` of one path, by method."""
    verbs: dict[Bucket, list[str]] = {}
    for route in routes:
        bucket = bucket_of(route)
        if bucket is not None:
            verbs.setdefault(bucket, []).append(route.verb)
    return [_taking(bucket, sorted(set(names))) for bucket, names in verbs.items()]


def call_limits(bucket: Bucket) -> list[Config]:
    """Returns Envoy's `rate_limits` of an RPC that takes from a bucket."""
    return [_taking(bucket, ["POST"])]


def descriptors(options: RateLimit) -> list[Config]:
    """Returns the buckets' sizes and how fast they fill."""
    return [
        {
            "entries": [{"key": "masked_remote_address"}, {"key": "bucket", "value": bucket.value}],
            "token_bucket": {
                "max_tokens": bucket.capacity(options),
                "tokens_per_fill": bucket.limit(options),
                "fill_interval": f"{options.window_seconds}s",
            },
        }
        for bucket in Bucket
    ]


def _taking(bucket: Bucket, verbs: list[str]) -> Config:
    method = {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(verbs)}}}
    value = {"descriptor_key": "bucket", "descriptor_value": bucket.value, "headers": [method]}
    return {"actions": [_CLIENT, {"header_value_match": value}]}
