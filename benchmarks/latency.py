"""What one caller waits for: a create, a whole task, and the way through Envoy."""

from collections.abc import Awaitable, Callable

from benchmarks import native, rest
from benchmarks.lab import Lab, Rows, milliseconds
from benchmarks.row import Row, at_most
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2

CREATE = "/v1/tasks/create"
BODY = {"task": "t2v", "prompt": "a red circle"}
WARM_UP = 20
NATIVE_CREATE = (at_most(5), at_most(30, "p99"))


async def create(lab: Lab) -> Rows:
    """Durable creates, one at a time on an idle service, the three ways in turn."""
    direct: list[float] = []
    through: list[float] = []
    http: list[float] = []
    async with (
        lab.service("noop", gateway=False) as bare,
        lab.service("noop") as fronted,
        native.connected(bare.port) as near,
        native.connected(fronted.port) as far,
        rest.connected(fronted.port) as web,
    ):
        for _ in range(WARM_UP + lab.count(300, least=100)):
            direct.append(await _created(near))
            through.append(await _created(far))
            http.append(await _posted(web, far))
    yield Row("create, native direct", "ms", direct[WARM_UP:], NATIVE_CREATE)
    yield Row("create, native through Envoy", "ms", through[WARM_UP:], NATIVE_CREATE)
    yield Row("create, REST", "ms", http[WARM_UP:])


async def complete(lab: Lab) -> Rows:
    """From the create of a no-op task to knowing that it is COMPLETED."""
    count = lab.count(300, least=100)
    async with (
        lab.service("noop", gateway=False) as bare,
        lab.service("noop") as fronted,
        native.connected(bare.port) as near,
        native.connected(fronted.port) as far,
        rest.connected(fronted.port) as web,
        rest.connected(fronted.port) as stream,
    ):
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "create to COMPLETED, native direct, watch": lambda: _followed(near),
            "create to COMPLETED, native through Envoy, watch": lambda: _followed(far),
            "create to COMPLETED, REST, event stream": lambda: _streamed(web, stream),
            "create to COMPLETED, REST, status polled": lambda: _polled(web),
        }
        samples: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(WARM_UP + count):
            for name, way in ways.items():
                samples[name].append(await milliseconds(way()))
    for name, values in samples.items():
        yield Row(name, "ms", values[WARM_UP:], (at_most(10 if "native" in name else 15),))


async def gateway(lab: Lab) -> Rows:
    """What Envoy adds to a call, each pair of calls made one after the other."""
    request = system_service_pb2.GetHealthRequest()
    direct: list[float] = []
    through: list[float] = []
    async with (
        lab.service("noop", gateway=False) as bare,
        lab.service("noop") as fronted,
        native.connected(bare.port) as near,
        native.connected(fronted.port) as far,
    ):
        for _ in range(WARM_UP + lab.count(1000, least=200)):
            direct.append(await milliseconds(near.system.GetHealth(request)))
            through.append(await milliseconds(far.system.GetHealth(request)))
    pairs = zip(direct[WARM_UP:], through[WARM_UP:], strict=True)
    yield Row("GetHealth, native direct", "ms", direct[WARM_UP:])
    yield Row("GetHealth, native through Envoy", "ms", through[WARM_UP:])
    yield Row("added by Envoy", "ms", [far - near for near, far in pairs], (at_most(2),))


async def _created(client: native.Native) -> float:
    """Times a create and lets the task end before anything else happens."""
    made: list[str] = []

    async def act() -> None:
        made.append(await client.create())

    elapsed = await milliseconds(act())
    await client.complete(made[0])
    return elapsed


async def _posted(web: rest.Connection, client: native.Native) -> float:
    made: list[str] = []

    async def act() -> None:
        made.append((await web.post(CREATE, BODY))["task_id"])

    elapsed = await milliseconds(act())
    await client.complete(made[0])
    return elapsed


async def _followed(client: native.Native) -> None:
    await client.complete(await client.create())


async def _streamed(web: rest.Connection, stream: rest.Connection) -> None:
    task_id = (await web.post(CREATE, BODY))["task_id"]
    async for event in stream.events(f"/v1/tasks/{task_id}/events"):
        last = event
    if last["status"] != "completed":
        raise native.UnexpectedEnd(str(last))


async def _polled(web: rest.Connection) -> None:
    task_id = (await web.post(CREATE, BODY))["task_id"]
    while True:
        status = (await web.get(f"/v1/tasks/{task_id}/status"))["status"]
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise native.UnexpectedEnd(status)
