"""Where keys are read, and how a changed file takes effect."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.app import keys as module
from telefuser_grpc.app.folder_watch import FolderWatch
from telefuser_grpc.app.keys import KeySource, LiveKeys, key_check, key_source, warn_of_openness
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.domain.api_key import ApiKey
from telefuser_grpc.errors import Unauthenticated
from telefuser_grpc.gateway.options import GatewayError

OLD, NEW = "sk-0123456789abcdef", "sk-fedcba9876543210"


class Listener:
    """Stands for a gateway, and tells when it was given keys."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[list[str]] = asyncio.Queue()
        self.refuses = False

    def replace_keys(self, keys: tuple[ApiKey, ...]) -> None:
        if self.refuses:
            raise GatewayError("Envoy compares keys themselves")
        self.given.put_nowait([key.name for key in keys])

    async def next(self) -> list[str]:
        async with asyncio.timeout(5):
            return await self.given.get()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one key."""
    path = tmp_path / "keys.txt"
    path.write_text(f"old: {OLD}\n")
    path.chmod(0o600)
    return path


def _live(file: Path) -> tuple[LiveKeys, Listener]:
    keys, listener = LiveKeys(KeySource(file=file)), Listener()
    keys.hand_to(listener)  # type: ignore[arg-type]
    return keys, listener


def _lets_in(keys: LiveKeys, key: str) -> bool:
    try:
        keys.ring.by_key({"x-api-key": key})
    except Unauthenticated:
        return False
    return True


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o600)
    part.replace(path)


def test_keys_of_settings_and_file_hold_together(file: Path) -> None:
    settings = Settings(api_keys=f"lab:{NEW}", api_keys_file=file)

    keys = key_source(settings).read()

    assert [(key.name, key.secret) for key in keys] == [("lab", NEW), ("old", OLD)]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "API keys: keys.txt has no key; write a line name: key"),
        (b"# nobody\n", "API keys: keys.txt has no key; write a line name: key"),
        (b"old: sk-1234567890123456\nlab:\n", "API keys: keys.txt line 2 has no key of 1 to 512"),
        (b"\xff\xfe", "API keys: keys.txt is not UTF-8 text; save it as such"),
    ],
)
def test_file_without_usable_keys_is_refused_at_the_start(
    file: Path, content: bytes, refusal: str
) -> None:
    file.write_bytes(content)

    with pytest.raises(ConfigError) as refused:
        LiveKeys(KeySource(file=file))

    assert str(refused.value).startswith(refusal)
    assert str(file.parent) not in str(refused.value)


async def test_written_file_takes_effect(file: Path) -> None:
    keys, gateway = _live(file)

    with keys, capture_logs() as logs:
        file.write_text(f"new: {NEW}\n")

        assert await gateway.next() == ["new"]
        assert (_lets_in(keys, NEW), _lets_in(keys, OLD)) == (True, False)
    assert logs == [
        {
            "event": "api keys changed",
            "added": ["new"],
            "revoked": ["old"],
            "log_level": "info",
        }
    ]


async def test_replaced_file_takes_effect_again_and_again(file: Path) -> None:
    keys, gateway = _live(file)

    with keys:
        _replace(file, f"new: {NEW}\n")
        first = await gateway.next()
        _replace(file, f"old: {OLD}\n")
        second = await gateway.next()

    assert (first, second) == (["new"], ["old"])


async def test_mounted_secret_takes_effect_when_its_folder_is_swapped(tmp_path: Path) -> None:
    for name, text in (("one", f"old: {OLD}"), ("two", f"new: {NEW}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(text)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "keys").symlink_to("..data/keys")
    keys, gateway = _live(tmp_path / "keys")

    with keys:
        (tmp_path / "..part").symlink_to("two")
        (tmp_path / "..part").rename(tmp_path / "..data")

        assert await gateway.next() == ["new"]


async def test_change_before_the_watch_began_takes_effect(file: Path) -> None:
    keys, gateway = _live(file)
    file.write_text(f"new: {NEW}\n")

    with keys:
        assert await gateway.next() == ["new"]


@pytest.mark.parametrize("broken", ["", "two words here\n", f"a: {NEW}\nb: {NEW}\n"])
async def test_broken_file_changes_nothing_and_a_mended_one_counts(file: Path, broken: str) -> None:
    keys, gateway = _live(file)

    with keys, capture_logs() as logs:
        _replace(file, broken)
        keys._look()
        held = _lets_in(keys, OLD)
        _replace(file, f"new: {NEW}\n")
        await gateway.next()

    assert held
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("api keys not changed", "error"),
        ("api keys changed", "info"),
    ]
    assert NEW not in str(logs)


async def test_file_that_is_gone_changes_nothing(file: Path) -> None:
    keys, _ = _live(file)

    with keys, capture_logs() as logs:
        file.unlink()
        keys.reload()

    assert _lets_in(keys, OLD)
    assert logs[0]["error"] == "API keys: keys.txt cannot be read: No such file or directory"


async def test_keys_that_the_gateway_refuses_do_not_hold(file: Path) -> None:
    keys, gateway = _live(file)
    gateway.refuses = True

    with keys, capture_logs() as logs:
        file.write_text(f"new: sha256:{'0' * 64}\n")
        keys._look()

    assert _lets_in(keys, OLD)
    assert logs[0]["error"] == "Envoy compares keys themselves"


async def test_other_files_of_the_folder_are_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, _ = _live(file)
    looks: asyncio.Queue[None] = asyncio.Queue()
    reads: list[int] = []

    def look() -> None:
        LiveKeys._look(keys)
        looks.put_nowait(None)

    monkeypatch.setattr(keys, "_look", look)
    monkeypatch.setattr(KeySource, "read", lambda self: reads.append(1))

    with keys:
        looks.get_nowait()  # the one at the start
        (file.parent / "other").write_text("x")
        async with asyncio.timeout(5):
            await looks.get()

    assert not reads


async def test_without_a_watch_sighup_reads_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FolderWatch) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module.FolderWatch, "__enter__", refuse)
    keys, gateway = _live(file)

    with capture_logs() as logs, keys:
        file.write_text(f"new: {NEW}\n")
        os.kill(os.getpid(), signal.SIGHUP)

        assert await gateway.next() == ["new"]
    assert logs[0]["event"] == "file of api keys not watched"
    assert logs[0]["remedy"] == "send SIGHUP after a change"


async def test_what_weakens_keys_is_said(file: Path) -> None:
    file.write_text("short: 123456\n")
    file.chmod(0o644)

    with capture_logs() as logs, LiveKeys(KeySource(file=file)):
        pass

    assert [each["event"] for each in logs] == [
        "api keys can be guessed",
        "everybody here can read the file of api keys",
    ]
    assert logs[0]["callers"] == ["short"]
    assert "123456" not in str(logs)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"host": "0.0.0.0"}, "open to everybody"),
        ({"host": "::"}, "open to everybody"),
        ({"host": "192.168.1.2", "gateway": False}, "open to everybody"),
        ({"host": "video.internal"}, "open to everybody"),
        ({"host": "127.0.0.1"}, None),
        ({"host": "127.8.8.8"}, None),
        ({"host": "::1"}, None),
        ({"host": "localhost"}, None),
        ({"host": "0.0.0.0", "api_keys": OLD}, None),
        ({"host": "0.0.0.0", "gateway": False, "trust_gateway": True}, "say who they are"),
        ({"host": "127.0.0.1", "gateway": False, "trust_gateway": True}, None),
    ],
)
def test_service_that_is_open_to_strangers_says_so(
    settings: dict[str, Any], says: str | None
) -> None:
    read = Settings(**settings)

    with capture_logs() as logs:
        warn_of_openness(read, LiveKeys(key_source(read)))

    assert [each["log_level"] for each in logs] == (["warning"] if says else [])
    assert not says or says in logs[0]["event"]


@pytest.mark.parametrize(
    ("settings", "header", "caller"),
    [
        ({}, {}, "everybody"),
        ({"api_keys": f"a:{OLD}"}, {"x-client-id": "a#ID"}, "a"),
        ({"api_keys": f"a:{OLD}"}, {"x-api-key": OLD}, "nobody"),
        ({"api_keys": f"a:{OLD}", "gateway": False}, {"x-api-key": OLD}, "a"),
        ({"api_keys": f"a:{OLD}", "gateway": False}, {"x-client-id": "a#ID"}, "nobody"),
        ({"trust_gateway": True, "gateway": False}, {"x-client-id": "b"}, "b"),
        ({"trust_gateway": True, "gateway": False}, {"x-api-key": OLD}, "nobody"),
        ({"trust_gateway": True}, {}, "everybody"),
        (
            {"api_keys": f"a:{OLD}", "trust_gateway": True, "gateway": False},
            {"x-client-id": "a#ID"},
            "a",
        ),
        (
            {"api_keys": f"a:{OLD}", "trust_gateway": True, "gateway": False},
            {"x-client-id": "b"},
            "nobody",
        ),
    ],
)
def test_callers_are_known_by_who_checks_keys(
    settings: dict[str, Any], header: dict[str, str], caller: str
) -> None:
    read = Settings(**settings)
    keys = LiveKeys(key_source(read))
    ids = {key.name: key.id for key in keys.current}
    headers = {name: ids["a"] if value == "a#ID" else value for name, value in header.items()}

    check = key_check(read, keys)

    assert _known(check, headers) == caller


def _known(check: Any, headers: dict[str, str]) -> str:
    if check is None:
        return "everybody"
    try:
        return str(check._identify(headers).name)
    except Unauthenticated:
        return "nobody"
