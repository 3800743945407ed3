"""The public surface is a list that someone checks."""

from telefuser_grpc import client


def test_exports_are_these_and_exist() -> None:
    assert client.__all__ == [
        "AsyncClient",
        "Client",
        "InputSource",
        "Queue",
        "QueuedTask",
        "Readiness",
        "ServiceMetadata",
        "ServiceStatus",
        "TeleFuserError",
    ]
    assert all(hasattr(client, name) for name in client.__all__)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(client.Client) == methods(client.AsyncClient)
