"""Has a service that does not start."""


class Raising:
    def start(self) -> None:
        raise RuntimeError("no weights in /srv/models/world")

    def stop(self) -> None: ...

    def serve(self, request: object) -> list[object]:
        return []


def get_service() -> Raising:
    return Raising()
