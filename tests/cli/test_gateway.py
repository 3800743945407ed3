"""`telefuser gateway render`."""

from collections.abc import Callable
from pathlib import Path

import yaml

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
