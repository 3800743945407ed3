"""The gateway's routing table, derived from the protos.

Envoy consults it twice for a REST request: for the documented path as it comes in (the `known-*`
routes: they say which filters run and which methods a path has), and for the RPC's path after
transcoding (the `rpc-*` routes: they carry the timeouts). A gRPC call only meets the latter.
"""

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from telefuser_grpc.gateway.descriptors import HttpRoute
from telefuser_grpc.gateway.options import GatewayOptions

CLUSTER = "server"
INTERNAL_SERVICE = "envoy.service.auth.v3.Authorization"

_FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_DOWNLOAD = "RestFileService.DownloadFile"

Route = dict[str, Any]


def routing_table(
    bindings: Sequence[HttpRoute], methods: Sequence[MethodDescriptor], options: GatewayOptions
) -> list[Route]:
    """Returns Envoy's routes, the first match first."""
    services = sorted({_service(each) for each in methods} - {INTERNAL_SERVICE})
    transcoded = {each.service for each in bindings}
    return [
        _refused(INTERNAL_SERVICE),
        *(_stream(each, options) for each in methods if _streams(each)),
        *(_rest_calls(each, options) for each in services if each in transcoded),
        *(_grpc_calls(f"/{each}/", options) for each in services if each not in transcoded),
        _grpc_calls("/grpc.", options),
        *_documented(bindings, serves_files=options.artifact_root is not None),
        {"name": "unknown", "match": {"prefix": "/"}, "route": {"cluster": CLUSTER}},
    ]


def _service(method: MethodDescriptor) -> str:
    return str(method.containing_service.full_name)


def _refused(service: str) -> Route:
    """Only the gateway itself may ask what a path stands for."""
    return {
        "name": "refused",
        "match": {"prefix": f"/{service}/"},
        "direct_response": {"status": 404},
    }


def _streams(method: MethodDescriptor) -> bool:
    return bool(method.server_streaming or method.client_streaming)


def _stream(method: MethodDescriptor, options: GatewayOptions) -> Route:
    path = f"/{_service(method)}/{method.name}"
    return _rpc(path, {"path": path}, _unlimited(options))


def _rest_calls(service: str, options: GatewayOptions) -> Route:
    limits = {"timeout": _seconds(options.rpc_timeout_seconds)}
    return _rpc(service, {"prefix": f"/{service}/"}, limits)


def _grpc_calls(prefix: str, options: GatewayOptions) -> Route:
    """Without a limit: gRPC callers bring their own deadlines."""
    return _rpc(prefix, {"prefix": prefix}, _unlimited(options))


def _rpc(name: str, match: Route, limits: Route) -> Route:
    return {
        "name": f"rpc-{name.strip('/.')}",
        "match": match,
        "route": {"cluster": CLUSTER, **limits},
        "typed_per_filter_config": {"body-limit-json": _off()},
    }


def _unlimited(options: GatewayOptions) -> Route:
    return {"timeout": "0s", "idle_timeout": _seconds(options.stream_idle_timeout_seconds)}


def _documented(bindings: Sequence[HttpRoute], *, serves_files: bool) -> list[Route]:
    routes = []
    for template in sorted({each.path_template for each in bindings}, key=_most_literal_first):
        here = [each for each in bindings if each.path_template == template]
        if serves_files and _serves_files(here):
            routes.append(_file(here[0]))
        routes.append(_known(here, allow=_allowed_methods(here[0].example, bindings)))
    return routes


def _most_literal_first(template: str) -> tuple[int, str]:
    return template.count("{"), template


def _allowed_methods(path: str, bindings: Sequence[HttpRoute]) -> str:
    return ", ".join(sorted({each.verb for each in bindings if re.fullmatch(each.regex, path)}))


def _serves_files(bindings: Sequence[HttpRoute]) -> bool:
    return any(f"{each.service}.{each.method}".endswith(_DOWNLOAD) for each in bindings)


def _file(binding: HttpRoute) -> Route:
    return {
        "name": "file",
        "match": {
            "safe_regex": {"regex": binding.regex},
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}],
        },
        "route": {"cluster": CLUSTER},
        "typed_per_filter_config": {
            "envoy.filters.http.ext_authz": _on(),
            "envoy.filters.http.file_server": _on(),
        },
    }


def _known(bindings: Sequence[HttpRoute], *, allow: str) -> Route:
    route: Route = {
        "name": f"known-{bindings[0].service.rpartition('.')[2]}.{bindings[0].method}",
        "match": {"safe_regex": {"regex": bindings[0].regex}},
        "route": {"cluster": CLUSTER},
        "metadata": {"filter_metadata": {"telefuser": {"allow": allow}}},
    }
    if any(each.client_streaming for each in bindings):
        route["typed_per_filter_config"] = {"body-limit-json": _off(), "body-limit-upload": _on()}
    return route


def _off() -> Route:
    return {"@type": _FILTER_CONFIG, "disabled": True}


def _on() -> Route:
    return {"@type": _FILTER_CONFIG, "config": {}}


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"
