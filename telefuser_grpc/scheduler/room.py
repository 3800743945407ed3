"""Takes no new task while there is no room for its files."""

from collections.abc import Mapping
from typing import Any

from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.ports import MediaInputs


class GuardedInputs:
    """`MediaInputs` that ask the janitor first: every new task comes here before it writes."""

    def __init__(self, inputs: MediaInputs, janitor: Janitor) -> None:
        self._inputs = inputs
        self._janitor = janitor

    async def take(self, task_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        await self._janitor.make_way(task_id)
        return await self._inputs.take(task_id, fields)

    async def drop(self, task_id: str) -> None:
        await self._inputs.drop(task_id)
