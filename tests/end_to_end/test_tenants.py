"""Two callers: nobody reads, ends or finds what is another's, by any RPC and any path."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.gateway.descriptors import http_routes, rpc_methods
from telefuser_grpc.gateway.routes import INTERNAL_SERVICE
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.tenant_rows import ROUTES, RPCS
from tests.end_to_end.tenants import Caller, Row, Things
from tests.fakes.service import Service

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
WAN = "0123456789abcdef0123456789abcdef"
METHODS = {
    each.full_name: each
    for each in rpc_methods()
    if each.containing_service.full_name != INTERNAL_SERVICE
}
MORE_KINDS = """
PIPELINE_CONTRACT["supported_tasks"] += ["vc", "i2i"]
PIPELINE_CONTRACT["task_contracts"] |= {
    "vc": {"media_type": "video", "required_inputs": ["ref_video_path"]},
    "i2i": {"media_type": "image", "required_inputs": ["first_image_path"]},
}
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A service, what alice has, names of what nobody has, and who asks."""

    service: Service
    things: Things
    nothing: Things
    alice: Caller
    bob: Caller
    nobody: Caller

    def check_unharmed(self) -> None:
        """Asserts that all that alice has is as it was."""
        with Client(self.service.target, api_key=ALICE) as client:
            states = [client.get(id_).state for id_ in (self.things.film, self.things.image)]
            assert states == [TaskState.COMPLETED] * 2
            assert client.get(self.things.running).state is TaskState.PROCESSING
        upload = self.service.cache / "uploads" / self.things.upload
        assert list(upload.iterdir())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tenants")
    pipeline = folder / "tenants_pipeline.py"
    pipeline.write_text(PUPPET.read_text() + MORE_KINDS)
    with ExitStack() as stack:
        gate = stack.enter_context(Gate(folder / "gate"))
        keys = f"alice:{ALICE},bob:{BOB}"
        service = stack.enter_context(Service(pipeline, folder, api_keys=keys, num_replicas=2))
        stack.callback(gate.open)  # before the service stops
        things = _made_by_alice(service, gate)
        callers = [Caller(service, key) for key in (ALICE, BOB, "")]
        for caller in callers:
            stack.callback(caller.close)
        alice, bob, nobody = callers
        yield World(
            service=service,
            things=things,
            nothing=_nothing_like(things),
            alice=alice,
            bob=bob,
            nobody=nobody,
        )


def _made_by_alice(service: Service, gate: Gate) -> Things:
    with Client(service.target, api_key=ALICE) as client:
        for kind, task_id, path in (
            ("t2i", "task_alice_image", ""),
            ("t2v", "task_alice_film", ""),
            ("t2v", WAN, f"wan21/{WAN}.mp4"),
            ("i2v", "task_20260101_000000", "image_to_video/video_20260101_000000.mp4"),
        ):
            client.create(
                kind,
                "a secret of alice",
                task_id=task_id,
                parameters={"output_path": path} if path else {},
                inputs={"first_image_path": _picture()} if kind == "i2v" else {},
                request_id=f"request-of-alice-{task_id}",
            )
            assert client.wait(task_id).state is TaskState.COMPLETED
        image, film = client.get("task_alice_image"), client.get("task_alice_film")
        upload = client.upload(_picture())
        client.create("act", task_id="task_alice_running", parameters={"gate": str(gate)})
        gate.wait_for_visitor()
    return Things(
        image=image.id,
        image_path=image.artifacts[0].id.removeprefix("local:"),
        image_id=image.artifacts[0].id,
        film=film.id,
        film_path=film.artifacts[0].id.removeprefix("local:"),
        running="task_alice_running",
        upload=upload.id,
        request_id="request-of-alice-task_alice_film",
        wan=WAN,
        wan_file=f"{WAN}.mp4",
        generated="task_20260101_000000",
        generated_file="video_20260101_000000.mp4",
    )


def _nothing_like(things: Things) -> Things:
    """Returns names of the same form and length that nobody has given."""
    names = {each.name: str(getattr(things, each.name)) for each in fields(things)}
    swapped = {"alice": "ghost", "0123456789abcdef": "fedcba9876543210", "20260101": "20250101"}
    for old, new in swapped.items():
        names = {name: value.replace(old, new) for name, value in names.items()}
    last = things.upload[-1]
    names["upload"] = things.upload[:-1] + ("0" if last != "0" else "1")
    return Things(**names)


def _picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), "olive").save(file, "PNG")
    return file.getvalue()


def test_every_rpc_has_a_row() -> None:
    assert RPCS.keys() == METHODS.keys()


def test_every_service_that_is_offered_has_rows(world: World) -> None:
    offered = {each for each in world.alice.services() if not each.startswith("grpc.")}

    assert offered == {name.rpartition(".")[0] for name in RPCS}


def test_every_documented_path_has_a_row() -> None:
    assert ROUTES.keys() == {(each.verb, each.path_template) for each in http_routes()}


@pytest.mark.parametrize("name", RPCS)
def test_stranger_learns_nothing_by_an_rpc(world: World, name: str) -> None:
    method = METHODS[name]

    _check(world, RPCS[name], lambda caller, asked: caller.call(method, asked))


@pytest.mark.parametrize(("verb", "path"), ROUTES)
def test_stranger_learns_nothing_by_a_path(world: World, verb: str, path: str) -> None:
    _check(world, ROUTES[verb, path], lambda caller, asked: caller.send(verb, asked))


def _check(world: World, row: Row, send: Callable[[Caller, Any], bytes]) -> None:
    """Asserts that to bob, what alice has is as what nobody has, and names nothing of hers."""
    asked_of_hers, asked_of_nothing = row.ask(world.things), row.ask(world.nothing)

    hers, nothing = send(world.bob, asked_of_hers), send(world.bob, asked_of_nothing)

    if row.is_public:
        assert hers == send(world.alice, asked_of_hers) != nothing
        return
    if asked_of_hers != asked_of_nothing:
        assert world.things.hidden_in(hers) == world.nothing.hidden_in(nothing)
    assert not world.things.shown_in(nothing)
    assert b"a secret of alice" not in hers
    if row.owner_learns:
        assert send(world.alice, asked_of_hers) != hers
    world.check_unharmed()


@pytest.mark.parametrize("name", RPCS)
def test_who_has_no_key_learns_nothing_by_an_rpc(world: World, name: str) -> None:
    answer = world.nobody.call(METHODS[name], RPCS[name].ask(world.things))

    assert answer.startswith(b'["UNAUTHENTICATED"')


def test_video_with_a_name_that_nobody_guesses_needs_no_key(world: World) -> None:
    answer = world.nobody.send("GET", {"url": f"/videos/{world.things.wan_file}"})

    assert answer.startswith(b"[200,")


def test_task_of_another_cannot_be_repeated(world: World) -> None:
    with (
        Client(world.service.target, api_key=ALICE) as alice,
        Client(world.service.target, api_key=BOB) as bob,
    ):
        mine, again, theirs = (
            client.create("t2i", "the same", request_id="the-same")
            for client in (alice, alice, bob)
        )

    assert mine.id == again.id != theirs.id


def test_id_of_another_can_be_chosen_and_names_ones_own(world: World) -> None:
    with (
        Client(world.service.target, api_key=ALICE) as alice,
        Client(world.service.target, api_key=BOB) as bob,
    ):
        hers = alice.get(world.things.image)
        for id_ in (world.things.image, world.nothing.image):
            assert bob.create("t2i", "of bob", task_id=id_).id == id_
        mine = bob.wait(world.things.image)

        assert (mine.id, mine.state) == (world.things.image, TaskState.COMPLETED)
        assert alice.get(world.things.image) == hers
        for id_ in (world.things.image, world.nothing.image):
            bob.wait(id_)
            bob.delete(id_)
    world.check_unharmed()


def test_owner_may_do_what_strangers_may_not(world: World) -> None:
    with (
        Client(world.service.target, api_key=ALICE) as alice,
        Client(world.service.target, api_key=BOB) as bob,
    ):
        task = alice.create("t2i", "to be deleted")
        alice.wait(task.id)
        with pytest.raises(TaskNotFound):
            bob.delete(task.id)
        alice.delete(task.id)
        with pytest.raises(TaskNotFound):
            alice.get(task.id)
