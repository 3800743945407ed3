"""The gateway's routing table, derived from the protos.

Envoy consults it twice for a REST request: for the documented path as it comes in (the `known-*`
routes: they say which filters run and which methods a path has), and for the RPC's path after
transcoding (the `rpc-*` routes: they carry the timeouts). A gRPC call only meets the latter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from telefuser_grpc.gateway.descriptors import Face, HttpRoute
from telefuser_grpc.gateway.keys import FILTER, is_public
from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.rate_limit import Bucket, call_bucket, call_limits, rest_limits

CLUSTER = "server"
UI_PAGES = {
    Face.TASKS: "/docs/assets/studio.html",
    Face.SESSIONS: "/docs/assets/session.html",
}
INTERNAL_SERVICE = "envoy.service.auth.v3.Authorization"

_FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
_COMPRESSOR = "envoy.filters.http.compressor"
_FILES = (
    "RestFileService.DownloadFile",
    "ImageService.GetImageContent",
    "VideoService.GetVideoContent",
    "WanService.GetVideoFile",
    "GenerationService.GetOutput",
)
# Documented paths that answer with what they made, not with a task.
_LONG_CALLS = r"/v1/images/(generations|edits|variations)|(/v1)?/generate"

Route = dict[str, Any]


def routing_table(
    bindings: Sequence[HttpRoute], methods: Sequence[MethodDescriptor], options: GatewayOptions
) -> list[Route]:
    """Returns Envoy's routes, the first match first."""
    rpcs = [_rpc_of(each, bindings) for each in methods]
    services = sorted({each.service for each in rpcs} - {INTERNAL_SERVICE})
    transcoded = {each.service for each in bindings}
    return [
        _refused(INTERNAL_SERVICE),
        *(_special(each, options) for each in rpcs if each.is_special),
        *(_rest_calls(each, options) for each in services if each in transcoded),
        *(_grpc_calls(f"/{each}/", options) for each in services if each not in transcoded),
        _probes(options),
        _grpc_calls("/grpc.", options),
        *([_home(options)] if options.ui_port else ()),
        *_documented(bindings, options),
        {"name": "unknown", "match": {"prefix": "/"}, "route": {"cluster": CLUSTER}},
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rpc:
    service: str
    path: str
    bindings: tuple[HttpRoute, ...]
    is_stream: bool
    is_upload: bool

    @property
    def is_special(self) -> bool:
        return self.is_stream or self.is_long or self.bucket is not None

    @property
    def is_long(self) -> bool:
        return any(re.fullmatch(_LONG_CALLS, each.example) for each in self.bindings)

    @property
    def bucket(self) -> Bucket | None:
        return call_bucket(self.path, self.bindings)


def _rpc_of(method: MethodDescriptor, bindings: Sequence[HttpRoute]) -> _Rpc:
    service, name = method.containing_service.full_name, method.name
    return _Rpc(
        service=service,
        path=f"/{service}/{name}",
        bindings=tuple(e for e in bindings if (e.service, e.method) == (service, name)),
        is_stream=bool(method.server_streaming or method.client_streaming),
        is_upload=bool(method.client_streaming),
    )


def _refused(service: str) -> Route:
    """Only the gateway itself may ask what a path stands for."""
    return {
        "name": "refused",
        "match": {"prefix": f"/{service}/"},
        "direct_response": {"status": 404},
    }


def _special(rpc: _Rpc, options: GatewayOptions) -> Route:
    limits = _limits(rpc, options)
    if options.rate_limit is not None and rpc.bucket is not None:
        limits["rate_limits"] = call_limits(rpc.bucket)
    return _rpc(rpc.path, {"path": rpc.path}, limits)


def _limits(rpc: _Rpc, options: GatewayOptions) -> Route:
    if not rpc.bindings:
        return _unlimited(options)
    if rpc.is_upload:
        made = options.long_rpc_timeout_seconds if rpc.is_long else 0  # the server ends it first
        return {"timeout": "0s", "idle_timeout": _seconds(options.rpc_timeout_seconds + made)}
    if rpc.is_stream:
        return _unlimited(options)
    if rpc.is_long:
        limit = _seconds(options.long_rpc_timeout_seconds)
        return {"timeout": limit, "idle_timeout": limit}
    return {"timeout": _seconds(options.rpc_timeout_seconds)}


def _rest_calls(service: str, options: GatewayOptions) -> Route:
    limits = {"timeout": _seconds(options.rpc_timeout_seconds)}
    return _rpc(service, {"prefix": f"/{service}/"}, limits)


def _grpc_calls(prefix: str, options: GatewayOptions) -> Route:
    """Without a limit: gRPC callers bring their own deadlines."""
    return _rpc(prefix, {"prefix": prefix}, _unlimited(options))


def _probes(options: GatewayOptions) -> Route:
    route = _grpc_calls("/grpc.health.", options)
    if options.api_keys:
        route["typed_per_filter_config"][FILTER] = _off()
    return route


def _rpc(name: str, match: Route, limits: Route) -> Route:
    return {
        "name": f"rpc-{name.strip('/.')}",
        "match": match,
        "route": {"cluster": CLUSTER, **limits},
        "typed_per_filter_config": {"body-limit-json": _off()},
    }


def _unlimited(options: GatewayOptions) -> Route:
    return {"timeout": "0s", "idle_timeout": _seconds(options.stream_idle_timeout_seconds)}


def _home(options: GatewayOptions) -> Route:
    """Leads who looks for a page to the one for people."""
    keyless = {FILTER: _off()} if options.api_keys else {}
    return {
        "name": "home",
        "match": {"path": "/"},
        "redirect": {"path_redirect": UI_PAGES[options.face], "response_code": "FOUND"},
        "typed_per_filter_config": {_TRANSCODER: _off()} | keyless,
    }


def _documented(bindings: Sequence[HttpRoute], options: GatewayOptions) -> list[Route]:
    routes = []
    for template in sorted({each.path_template for each in bindings}, key=_most_literal_first):
        here = [each for each in bindings if each.path_template == template]
        if options.artifact_root is not None and _serves_files(here):
            routes.append(_file(here, options))
        routes.append(_known(here, options, allow=_allowed_methods(here[0].example, bindings)))
    return routes


def _most_literal_first(template: str) -> tuple[int, str]:
    return template.count("{"), template


def _allowed_methods(path: str, bindings: Sequence[HttpRoute]) -> str:
    return ", ".join(sorted({each.verb for each in bindings if re.fullmatch(each.regex, path)}))


def _serves_files(bindings: Sequence[HttpRoute]) -> bool:
    return any(f"{each.service}.{each.method}".endswith(_FILES) for each in bindings)


def _file(bindings: Sequence[HttpRoute], options: GatewayOptions) -> Route:
    methods = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    filters: Route = {
        "envoy.filters.http.ext_authz": _on(),
        "envoy.filters.http.file_server": _on(),
        _COMPRESSOR: _off(),
    }
    return {
        "name": "file",
        "match": {"safe_regex": {"regex": bindings[0].regex}, "headers": [methods]},
        "route": _forward(bindings, options),
        "typed_per_filter_config": filters | _keyless(bindings, options),
    }


def _known(bindings: Sequence[HttpRoute], options: GatewayOptions, *, allow: str) -> Route:
    route: Route = {
        "name": f"known-{bindings[0].service.rpartition('.')[2]}.{bindings[0].method}",
        "match": {"safe_regex": {"regex": bindings[0].regex}},
        "route": _forward(bindings, options),
        "metadata": {"filter_metadata": {"telefuser": {"allow": allow}}},
    }
    filters = _keyless(bindings, options)
    if any(each.client_streaming for each in bindings):
        filters |= {"body-limit-json": _off(), "body-limit-upload": _on()}
    if any(each.server_streaming for each in bindings):
        filters[_COMPRESSOR] = _off()
    return route | ({"typed_per_filter_config": filters} if filters else {})


def _keyless(bindings: Sequence[HttpRoute], options: GatewayOptions) -> Route:
    return {FILTER: _off()} if options.api_keys and is_public(bindings[0].example) else {}


def _forward(bindings: Sequence[HttpRoute], options: GatewayOptions) -> Route:
    limits = rest_limits(bindings) if options.rate_limit is not None else []
    return {"cluster": CLUSTER} | ({"rate_limits": limits} if limits else {})


def _off() -> Route:
    return {"@type": _FILTER_CONFIG, "disabled": True}


def _on() -> Route:
    return {"@type": _FILTER_CONFIG, "config": {}}


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"
