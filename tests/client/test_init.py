"""The public surface is a list that someone checks."""

import subprocess
import sys

import pytest

from telefuser_grpc import client, errors


def test_exports_are_these_and_exist() -> None:
    assert client.__all__ == [
        "AsyncClient",
        "AsyncLiveSession",
        "Client",
        "InputSource",
        "LiveSession",
        "PictureFormat",
        "Queue",
        "QueuedTask",
        "Readiness",
        "ServiceMetadata",
        "ServiceStatus",
        "SessionChunk",
        "SessionMessage",
        "SessionPicture",
        "TFClient",
        "TaskCreationError",
        "TaskFailedError",
        "TaskTimeoutError",
        "TeleFuserError",
    ]
    assert all(hasattr(client, name) for name in client.__all__)


def test_one_error_catches_those_of_every_client() -> None:
    assert client.TeleFuserError is errors.TeleFuserError
    for each in (client.TaskCreationError, client.TaskFailedError, client.TaskTimeoutError):
        assert issubclass(each, client.TeleFuserError)


def test_what_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="TFServer"):
        client.TFServer  # noqa: B018 - the access is what is tested


def test_native_clients_do_not_wait_for_requests() -> None:
    code = "import sys, telefuser_grpc.client; sys.exit('requests' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(client.Client) == methods(client.AsyncClient)
    assert methods(client.LiveSession) == methods(client.AsyncLiveSession)
