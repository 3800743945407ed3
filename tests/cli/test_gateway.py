"""`telefuser gateway render`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from telefuser_grpc.gateway import render
from telefuser_grpc.gateway.options import GatewayOptions, RateLimit
from tests.cli.conftest import Outcome


def test_render_writes_what_envoy_needs(run: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = tmp_path / "sidecar"

    outcome = run(
        *("gateway", "render", "--out", str(folder), "--upstream", "server:50051"),
        *("--host", "127.0.0.1", "--port", "9000"),
    )

    config = yaml.safe_load((folder / "envoy.yaml").read_text())
    address = config["static_resources"]["listeners"][0]["address"]["socket_address"]
    assert outcome.code == 0
    assert (address["address"], address["port_value"]) == ("127.0.0.1", 9000)
    assert "server" in (folder / "envoy.yaml").read_text()
    assert f"wrote {folder / 'envoy.yaml'}" in outcome.stdout


def test_host_without_an_address_is_one_line(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run(
        *("gateway", "render", "-o", str(tmp_path), "--upstream", "server:1"),
        *("--host", "no.such.host.invalid"),
    )

    assert outcome.code == 1
    assert outcome.stderr.startswith("error: the host 'no.such.host.invalid' has no address")


@pytest.mark.parametrize(
    ("arguments", "limit", "proxies"),
    [
        ((), RateLimit(requests_per_minute=60, burst=10), 0),
        (("--rate-limit-rpm", "0"), None, 0),
        (
            ("--rate-limit-rpm", "100", "--rate-limit-burst", "0", "--trusted-proxies", "2"),
            RateLimit(requests_per_minute=100, burst=0),
            2,
        ),
    ],
)
def test_sidecar_limits_its_callers_as_documented_or_as_told(
    arguments: tuple[str, ...],
    limit: RateLimit | None,
    proxies: int,
    run: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[GatewayOptions] = []

    def write(options: GatewayOptions, folder: Path) -> Path:
        written.append(options)
        return folder / "envoy.yaml"

    monkeypatch.setattr(render, "write", write)

    run("gateway", "render", "-o", str(tmp_path), "--upstream", "server:1", *arguments)

    assert (written[0].rate_limit, written[0].trusted_proxies) == (limit, proxies)
