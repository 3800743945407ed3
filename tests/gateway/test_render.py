"""The configuration that is written, judged by Envoy itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from telefuser_grpc.gateway import render as module
from telefuser_grpc.gateway.envoy import validate
from telefuser_grpc.gateway.options import GatewayError, GatewayOptions, RateLimit
from telefuser_grpc.gateway.render import render, write

PLAIN: dict[str, Any] = {"upstream": "/run/server.sock"}


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        {"upstream": "127.0.0.1:50051", "host": "0.0.0.0", "access_log": False},
        {"upstream": "server.internal:50051", "host": "::", "otlp_endpoint": "collector:4317"},
        {"upstream": "[::1]:50051", "host": "localhost", "cors_origins": ("*",)},
        {
            **PLAIN,
            "artifact_root": Path("/var/lib/telefuser"),
            "cors_origins": ("https://a.example", "http://localhost:3000"),
            "otlp_endpoint": "127.0.0.1:4317",
            "rpc_timeout_seconds": 0.25,
            "stream_idle_timeout_seconds": 7200,
            "max_connections": 10,
            "rate_limit": RateLimit(requests_per_minute=10, burst=0, window_seconds=3600),
            "trusted_proxies": 2,
            "ui_port": 7860,
        },
    ],
)
def test_envoy_accepts_the_configuration(tmp_path: Path, options: dict[str, Any]) -> None:
    write(GatewayOptions(**options), tmp_path)

    validate(tmp_path)


def test_refusal_of_envoy_says_why(tmp_path: Path) -> None:
    path = write(GatewayOptions(**PLAIN), tmp_path)
    path.write_text(path.read_text().replace("codec_type", "codec_tipe"))

    with pytest.raises(GatewayError, match="codec_tipe"):
        validate(tmp_path)


def test_folder_can_be_moved(tmp_path: Path) -> None:
    write(GatewayOptions(**PLAIN), tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")

    validate(tmp_path / "there")


def test_same_options_write_the_same_files(tmp_path: Path) -> None:
    write(GatewayOptions(**PLAIN), tmp_path / "a")
    write(GatewayOptions(**PLAIN), tmp_path / "b")

    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_is_switched_off_is_left_out() -> None:
    text = yaml.safe_dump(render(GatewayOptions(**PLAIN, access_log=False)))

    for absent in ("cors", "tracing", "otlp", "access_log", "ext_authz", "local_ratelimit"):
        assert f"name: envoy.filters.http.{absent}" not in text
        assert f"name: {absent}" not in text
        assert f"{absent}:" not in text


def test_limits_reach_their_filters() -> None:
    options = GatewayOptions(
        **PLAIN, max_json_body_bytes=111, max_response_body_bytes=222, max_upload_bytes=333
    )

    filters = _filters(render(options))

    assert filters["body-limit-json"]["max_request_bytes"] == 111
    assert filters["body-limit-upload"]["max_request_bytes"] == 333
    transcoder = filters["envoy.filters.http.grpc_json_transcoder"]
    assert transcoder["max_request_body_size"] == 111
    assert transcoder["max_response_body_size"] == 222


def test_clients_that_are_counted_do_not_fill_memory() -> None:
    limit = RateLimit(requests_per_minute=60, burst=10, window_seconds=60)

    filters = _filters(render(GatewayOptions(**PLAIN, rate_limit=limit)))

    assert filters["envoy.filters.http.local_ratelimit"]["max_dynamic_descriptors"] == 10_000


def test_only_documented_services_are_transcoded() -> None:
    filters = _filters(render(GatewayOptions(**PLAIN)))

    services = filters["envoy.filters.http.grpc_json_transcoder"]["services"]
    assert "telefuser.rest.v1.RestTaskService" in services
    assert "openai.v1.ImageService" in services
    assert not [each for each in services if each.startswith("telefuser.v1.")]


def test_server_is_not_pinged_for_it_would_cut_quiet_streams() -> None:
    (server,) = render(GatewayOptions(**PLAIN))["static_resources"]["clusters"]

    assert "connection_keepalive" not in yaml.safe_dump(server)


@pytest.mark.parametrize("upstream", ["server", "server:", ":50051", "server:grpc", ""])
def test_upstream_that_is_no_address_is_refused(upstream: str) -> None:
    with pytest.raises(GatewayError, match="use host:port"):
        render(GatewayOptions(upstream=upstream))


def test_host_without_an_address_is_refused() -> None:
    with pytest.raises(GatewayError, match="listen on an IP address"):
        render(GatewayOptions(**PLAIN, host="no-such-host.invalid"))


def test_template_of_an_installed_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "telefuser_grpc"
    (package / "_gateway").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "gateway" / "render.py"))

    assert module._templates() == package / "_gateway"


def _filters(config: dict[str, Any]) -> dict[str, Any]:
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    return {
        each["name"]: each["typed_config"]
        for each in chain["filters"][0]["typed_config"]["http_filters"]
    }
