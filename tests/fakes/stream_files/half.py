"""Has a service that is almost a bidirectional one."""


class Half:
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def create_session(self, config: object) -> str:
        return "one"

    def push_chunk(self, session_id: str, chunk: object) -> None: ...


def get_service() -> Half:
    return Half()
