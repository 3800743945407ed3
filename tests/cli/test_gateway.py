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


@pytest.mark.parametrize("flags", [(), ("--sessions",)])
def test_sidecar_knows_the_paths_of_what_is_served(
    flags: tuple[str, ...], run: Callable[..., Outcome], tmp_path: Path
) -> None:
    run("gateway", "render", "-o", str(tmp_path), "--upstream", "server:1", *flags)

    config = (tmp_path / "envoy.yaml").read_text()
    assert ("RestStreamService" in config, "RestTaskService" in config) == (bool(flags), not flags)


def test_host_without_an_address_is_one_line(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run(
        *("gateway", "render", "-o", str(tmp_path), "--upstream", "server:1"),
        *("--host", "no.such.host.invalid"),
    )

    assert outcome.code == 1
    assert outcome.stderr.startswith("error: the host 'no.such.host.invalid' has no address")


def test_sidecar_gets_the_keys_of_a_file_and_others_when_rendered_again(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    keys, folder = tmp_path / "keys.txt", tmp_path / "sidecar"
    written = []
    for text in ("studio: sk-0123456789abcdef\n", "lab: sk-fedcba9876543210\n"):
        keys.write_text(text)
        run(
            *("gateway", "render", "-o", str(folder), "--upstream", "server:1"),
            *("--api-keys-file", str(keys)),
        )
        written.append((folder / "api_keys.yaml").read_text())

    assert "sk-0123456789abcdef" in written[0]
    assert "sk-fedcba9876543210" in written[1]
    assert "sk-0123456789abcdef" not in written[1]
    assert "api-keys" in (folder / "envoy.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "error: API keys: keys.txt cannot be read: No such file or directory\n"),
        ("", "error: API keys: keys.txt has no key; write a line name: key\n"),
        (
            f"lab: sha256:{'0' * 64}",
            "error: the key of lab is given as its SHA-256, but Envoy compares keys themselves;"
            " give the key, or serve with --no-gateway, where the server compares digests\n",
        ),
    ],
)
def test_keys_that_envoy_cannot_have_are_one_line(
    content: str | None, said: str, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "keys.txt").write_text(content)

    outcome = run(
        *("gateway", "render", "-o", str(tmp_path / "out"), "--upstream", "server:1"),
        *("--api-keys-file", str(tmp_path / "keys.txt")),
    )

    assert (outcome.code, outcome.stderr) == (1, said)


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
