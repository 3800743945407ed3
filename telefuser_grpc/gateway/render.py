"""Envoy's configuration: the template, completed from the options and the protos."""

import ipaddress
import shutil
import socket
from pathlib import Path
from typing import Any

import yaml

from telefuser_grpc.gateway.descriptors import descriptor_set, http_routes, rpc_methods
from telefuser_grpc.gateway.keys import FILTER, write_keys
from telefuser_grpc.gateway.options import GatewayError, GatewayOptions
from telefuser_grpc.gateway.rate_limit import descriptors
from telefuser_grpc.gateway.routes import routing_table

Config = dict[str, Any]

# libyaml's, where PyYAML was built with it: ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

CONFIGURATION = "envoy.yaml"
DESCRIPTORS = "descriptors.binpb"
SCRIPT = "gateway.lua"

_CORS = "envoy.filters.http.cors"
_RATE_LIMIT = "envoy.filters.http.local_ratelimit"
_FILE_FILTERS = ("envoy.filters.http.ext_authz", "envoy.filters.http.file_server")


def write(options: GatewayOptions, folder: Path) -> Path:
    """Writes all that Envoy needs into a folder; Envoy has to be started in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if options.api_keys:
        write_keys(options.api_keys, folder)
    configuration = folder / CONFIGURATION
    configuration.write_text(
        yaml.dump(render(options), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120),
        encoding="utf-8",
    )
    described = descriptor_set().SerializeToString(deterministic=True)
    (folder / DESCRIPTORS).write_bytes(described)
    shutil.copyfile(_templates() / SCRIPT, folder / SCRIPT)
    return configuration


def render(options: GatewayOptions) -> Config:
    """Returns the configuration as what it says, before it is written."""
    config: Config = yaml.load((_templates() / CONFIGURATION).read_bytes(), Loader=_LOADER)
    _admin(config, options)
    _clusters(config, options)
    listener = config["static_resources"]["listeners"][0]
    host = address_of(options.host)
    listener["address"] = _socket_address(host, options.port)
    if options.ui_port:
        listener["additional_addresses"] = [{"address": _socket_address(host, options.ui_port)}]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    _connection_manager(manager, options)
    _filters(manager, options)
    return config


def address_of(host: str) -> str:
    """Envoy listens on addresses, not on names."""
    if _is_ip(host):
        return host
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise GatewayError(f"the host {host!r} has no address; listen on an IP address") from error


def _templates() -> Path:
    """The template's folder: part of an installed package, at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_gateway"
    return installed if installed.is_dir() else package.parent / "gateway"


def _admin(config: Config, options: GatewayOptions) -> None:
    config["admin"]["address"]["pipe"]["path"] = str(options.admin_socket)
    monitor = config["overload_manager"]["resource_monitors"][0]["typed_config"]
    monitor["max_active_downstream_connections"] = options.max_connections


def _clusters(config: Config, options: GatewayOptions) -> None:
    clusters = {each["name"]: each for each in config["static_resources"]["clusters"]}
    _point(clusters["server"], options.upstream)
    if options.otlp_endpoint is None:
        config["static_resources"]["clusters"].remove(clusters["otlp"])
        del config["layered_runtime"]
    else:
        _point(clusters["otlp"], options.otlp_endpoint)


def _point(cluster: Config, target: str) -> None:
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    if target.startswith("/"):
        endpoint["address"] = {"pipe": {"path": target}}
        cluster.pop("upstream_connection_options", None)
        return
    host, port = _host_and_port(target)
    cluster["type"] = "STATIC" if _is_ip(host) else "STRICT_DNS"
    endpoint["address"] = _socket_address(host, port)


def _host_and_port(target: str) -> tuple[str, int]:
    host, separator, port = target.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise GatewayError(f"{target!r} is no address; use host:port or an absolute socket path")
    return host.strip("[]"), int(port)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _socket_address(host: str, port: int) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _connection_manager(manager: Config, options: GatewayOptions) -> None:
    manager["xff_num_trusted_hops"] = options.trusted_proxies
    manager["drain_timeout"] = f"{options.drain_timeout_seconds:g}s"
    if not options.access_log:
        del manager["access_log"]
    if options.otlp_endpoint is None:
        del manager["tracing"]
    else:
        manager["tracing"]["provider"]["typed_config"]["service_name"] = options.service_name
    host = manager["route_config"]["virtual_hosts"][0]
    host["routes"] = routing_table(http_routes(options.face), rpc_methods(options.face), options)
    settings = host["typed_per_filter_config"]
    settings["envoy.filters.http.lua"]["filter_context"] = _told_to_script(options)
    if options.cors_origins:
        origins = [_origin(each) for each in options.cors_origins]
        settings[_CORS]["allow_origin_string_match"] = origins
    else:
        del settings[_CORS]


def _told_to_script(options: GatewayOptions) -> Config:
    told: Config = {"cors": True} if options.cors_origins else {}
    if options.api_keys:
        told["keys"] = True
    if options.trusted_proxies:
        told["trusts_proxies"] = True
    if options.rate_limit is not None:
        told["burst"] = options.rate_limit.burst
        told["window_seconds"] = options.rate_limit.window_seconds
    return told


def _origin(origin: str) -> Config:
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}


def _filters(manager: Config, options: GatewayOptions) -> None:
    settings = {each["name"]: each.get("typed_config") for each in manager["http_filters"]}
    settings["body-limit-json"]["max_request_bytes"] = options.max_json_body_bytes
    settings["body-limit-upload"]["max_request_bytes"] = options.max_upload_bytes
    if options.rate_limit is not None:
        settings[_RATE_LIMIT]["descriptors"] = descriptors(options.rate_limit)
    transcoder = settings["envoy.filters.http.grpc_json_transcoder"]
    transcoder["services"] = sorted({each.service for each in http_routes(options.face)})
    transcoder["max_request_body_size"] = options.max_json_body_bytes
    transcoder["max_response_body_size"] = options.max_response_body_bytes
    if options.artifact_root is not None:
        mapping = settings["envoy.filters.http.file_server"]["path_mappings"][0]
        mapping["file_path_prefix"] = f"{options.artifact_root.resolve()}/"
    unused = _unused_filters(options)
    manager["http_filters"] = [
        each for each in manager["http_filters"] if each["name"] not in unused
    ]


def _unused_filters(options: GatewayOptions) -> set[str]:
    unused = set()
    if not options.cors_origins:
        unused.add(_CORS)
    if not options.api_keys:
        unused.add(FILTER)
    if options.rate_limit is None:
        unused.add(_RATE_LIMIT)
    if options.artifact_root is None:
        unused.update(_FILE_FILTERS)
    return unused
