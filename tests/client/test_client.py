"""The client without an event loop, against a real port."""

import hashlib
import threading
from pathlib import Path

import pytest

from telefuser_grpc._gen.telefuser.v1 import task_pb2
from telefuser_grpc.client import Client, TaskTimeoutError
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Progress, StateChange, TaskState
from telefuser_grpc.errors import (
    ChecksumMismatch,
    QueueFull,
    TaskNotFound,
    TeleFuserError,
    Unavailable,
)
from tests.fakes.server import (
    VIDEO,
    FakeServer,
    completed_script,
    lost_connection,
    progress_event,
    state_event,
)

VIDEO_ID = "local:tasks/task_1/outputs/videos/video.mp4"


def test_create_sends_every_field_and_returns_the_admitted_task(
    server: FakeServer, client: Client
) -> None:
    server.script = [state_event(task_pb2.TASK_STATE_PENDING)]

    task = client.create(
        "t2v",
        "a red circle",
        negative_prompt="blue",
        seed=2**62 + 1,
        parameters={"num_inference_steps": 4, "guidance_scale": 2.5},
        task_id="mine",
    )

    (request,) = server.requests["CreateTask"]
    assert (request.prompt, request.negative_prompt, request.seed) == (
        "a red circle",
        "blue",
        2**62 + 1,
    )
    assert (task.id, task.kind, task.state) == ("mine", "t2v", TaskState.PENDING)
    assert task.fields == {"num_inference_steps": 4, "guidance_scale": 2.5}
    assert isinstance(task.fields["num_inference_steps"], int)


def test_create_without_seed_leaves_it_absent(server: FakeServer, client: Client) -> None:
    client.create("t2v", "a red circle")

    assert not server.requests["CreateTask"][0].HasField("seed")


def test_create_is_repeated_with_the_same_request_id(server: FakeServer, client: Client) -> None:
    server.failures["CreateTask"] = [lost_connection(), lost_connection()]

    task = client.create("t2v", "a red circle")

    ids = [each.request_id for each in server.requests["CreateTask"]]
    assert task.id == "task_1"
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert ids[0]


def test_create_gives_up_after_three_repetitions(server: FakeServer, client: Client) -> None:
    server.failures["CreateTask"] = [lost_connection() for _ in range(10)]

    with pytest.raises(Unavailable):
        client.create("t2v", "a red circle")

    assert len(server.requests["CreateTask"]) == 4


def test_create_without_request_id_is_not_repeated(server: FakeServer, client: Client) -> None:
    server.failures["CreateTask"] = [lost_connection()]

    with pytest.raises(Unavailable):
        client.create("t2v", "a red circle", request_id="")

    assert len(server.requests["CreateTask"]) == 1


def test_create_does_not_repeat_a_refusal(server: FakeServer, client: Client) -> None:
    server.failures["CreateTask"] = [QueueFull(10)]

    with pytest.raises(QueueFull):
        client.create("t2v", "a red circle")

    assert len(server.requests["CreateTask"]) == 1


def test_local_inputs_are_uploaded_first(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"p" * 300_000)

    client.create(
        "fl2v",
        "a cat",
        inputs={
            "first_image_path": picture,
            "last_image_path": b"last",
            "audio_path": "data:audio/wav;base64,AA==",
        },
    )

    sources = server.requests["CreateTask"][0].inputs
    assert server.uploads[sources["first_image_path"].upload_id] == b"p" * 300_000
    assert server.uploads[sources["last_image_path"].upload_id] == b"last"
    assert sources["audio_path"].uri == "data:audio/wav;base64,AA=="


def test_upload_promises_name_size_and_checksum(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"picture")

    upload = client.upload(picture)

    (promise,) = server.requests["UploadInput"]
    assert (promise.filename, promise.size_bytes) == ("cat.png", 7)
    assert promise.sha256 == hashlib.sha256(b"picture").hexdigest() == upload.sha256


def test_upload_is_repeated_when_the_service_is_away_for_a_moment(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"p" * 300_000)
    server.failures["UploadInput"] = [lost_connection()]

    client.upload(picture)

    assert server.uploads == {"upload_1": b"p" * 300_000}


def test_upload_of_a_missing_file_asks_no_server(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        client.upload(tmp_path / "missing.png")

    assert not server.requests["UploadInput"]


def test_list_goes_on_from_page_to_page(server: FakeServer, client: Client) -> None:
    for number in range(5):
        server.add_task(f"task_{number}")

    tasks = list(client.list(states=["pending"], page_size=2))

    assert [each.id for each in tasks] == ["task_4", "task_3", "task_2", "task_1", "task_0"]
    assert len(server.requests["ListTasks"]) == 3


def test_watch_yields_every_event_and_ends(server: FakeServer, client: Client) -> None:
    server.add_task("task_1", completed_script(steps=2))

    events = list(client.watch("task_1"))

    assert [each.sequence for each in events] == [1, 2, 3, 4, 5]
    assert events[2].change == Progress(step=1, steps=2, remaining_seconds=1.5)
    assert isinstance(events[-1].change, StateChange)
    assert events[-1].change.artifacts[0].id == VIDEO_ID


def test_watch_delivers_events_as_they_happen(server: FakeServer, client: Client) -> None:
    server.add_task("task_1")
    events = client.watch("task_1")

    first = next(events)
    server.emit("task_1", progress_event(1, 2))
    second = next(events)

    assert (first.sequence, second.sequence) == (1, 2)


def test_watch_takes_up_a_broken_stream_after_the_last_event(
    server: FakeServer, client: Client
) -> None:
    server.add_task("task_1", completed_script(steps=5))
    server.cuts = [3, 0, 2]

    events = list(client.watch("task_1"))

    afters = [each.after_sequence for each in server.requests["WatchTask"]]
    assert [each.sequence for each in events] == list(range(1, 9))
    assert afters == [0, 3, 3, 5]


def test_watch_takes_up_a_stream_that_ends_before_its_task(
    server: FakeServer, client: Client
) -> None:
    server.add_task("task_1", completed_script(steps=2))
    server.cuts = [2, 1]
    server.breaks_quietly = True

    sequences = [each.sequence for each in client.watch("task_1")]

    assert sequences == [1, 2, 3, 4, 5]
    assert [each.after_sequence for each in server.requests["WatchTask"]] == [0, 2, 3]


def test_watch_after_the_last_event_of_an_ended_task_ends_at_once(
    server: FakeServer, client: Client
) -> None:
    server.add_task("task_1", completed_script(steps=1))

    assert list(client.watch("task_1", after_sequence=4)) == []
    assert len(server.requests["WatchTask"]) == 1


def test_watch_drops_what_a_server_repeats(server: FakeServer, client: Client) -> None:
    script = completed_script(steps=2)
    script[3].sequence = 2
    server.add_task("task_1", script)

    sequences = [each.sequence for each in client.watch("task_1")]

    assert sequences == [1, 2, 3, 5]


def test_watch_survives_a_restart_of_the_server(server: FakeServer, client: Client) -> None:
    server.add_task("task_1")
    events = client.watch("task_1")
    assert next(events).sequence == 1

    server.stop()
    server.emit("task_1", progress_event(1, 1))
    restart = threading.Timer(0.3, server.start)
    restart.start()
    event = next(events)
    restart.join()

    assert event.sequence == 2


def test_watch_gives_up_when_nobody_answers(server: FakeServer) -> None:
    server.add_task("task_1")
    with Client(server.target, reconnect_seconds=0.5) as client:
        events = client.watch("task_1")
        next(events)

        server.stop()

        with pytest.raises(Unavailable, match="No TeleFuser service answers at 127"):
            next(events)
    server.start()


def test_watch_of_an_unknown_task_is_not_tried_again(server: FakeServer, client: Client) -> None:
    with pytest.raises(TaskNotFound):
        next(client.watch("task_9"))

    assert len(server.requests["WatchTask"]) == 1


def test_wait_returns_a_failed_task(server: FakeServer, client: Client) -> None:
    error = task_pb2.TaskError(reason="ERROR_REASON_OUTPUT_INVALID", message="nothing was made")
    failed = state_event(task_pb2.TASK_STATE_FAILED, error=error)
    server.add_task("task_1", [state_event(task_pb2.TASK_STATE_PROCESSING), failed])

    task = client.wait("task_1")

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert (task.error.reason, task.error.message) == ("OUTPUT_INVALID", "nothing was made")


def test_cancel_and_delete_reach_the_task(server: FakeServer, client: Client) -> None:
    server.add_task("task_1")

    cancelled = client.cancel("task_1")
    client.delete("task_1")

    assert cancelled.state is TaskState.CANCELLED
    with pytest.raises(TaskNotFound):
        client.get("task_1")


def test_queue_tells_who_is_next(server: FakeServer, client: Client) -> None:
    server.add_task("task_1", [state_event(task_pb2.TASK_STATE_PROCESSING)])
    server.add_task("task_2")

    queue = client.queue()

    assert queue.running == ("task_1",)
    assert [(each.task_id, each.position) for each in queue.waiting] == [("task_2", 1)]
    assert next(client.watch_queue()) == queue


def test_watch_queue_takes_up_a_broken_stream(server: FakeServer, client: Client) -> None:
    server.cuts = [1]
    queues = client.watch_queue()

    seen = [next(queues), next(queues)]

    assert len(seen) == len(server.requests["WatchQueue"]) == 2


def test_download_writes_the_whole_file_and_tells_how_far_it_is(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)
    seen: list[tuple[int, int]] = []

    path = client.download(
        VIDEO_ID, tmp_path / "mine.mp4", progress=lambda done, total: seen.append((done, total))
    )

    assert path.read_bytes() == VIDEO
    assert seen[-1] == (len(VIDEO), len(VIDEO))
    assert list(tmp_path.iterdir()) == [path]


def test_download_into_a_folder_takes_the_file_name(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)

    assert client.download("video.mp4", tmp_path) == tmp_path / "video.mp4"


def test_download_continues_what_a_broken_stream_has_left(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)
    server.cuts = [3]

    path = client.download(VIDEO_ID, tmp_path / "mine.mp4")

    offsets = [each.offset for each in server.requests["DownloadArtifact"]]
    assert path.read_bytes() == VIDEO
    assert offsets == [0, 200_000]


def test_download_continues_what_an_earlier_call_has_left(
    server: FakeServer, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)
    server.cuts = [3]
    with (
        Client(server.target, reconnect_seconds=0) as hasty,
        pytest.raises(Unavailable),
    ):
        hasty.download(VIDEO_ID, tmp_path / "mine.mp4")

    with Client(server.target) as client:
        path = client.download(VIDEO_ID, tmp_path / "mine.mp4")

    assert server.requests["DownloadArtifact"][-1].offset == 200_000
    assert path.read_bytes() == VIDEO


def test_download_of_wrong_bytes_leaves_nothing(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO, sha256="0" * 64)

    with pytest.raises(ChecksumMismatch):
        client.download(VIDEO_ID, tmp_path / "mine.mp4")

    assert list(tmp_path.iterdir()) == []


def test_metadata_status_and_readiness_are_domain_values(
    server: FakeServer, client: Client
) -> None:
    server.is_ready = False

    metadata, status, readiness = client.metadata(), client.status(), client.ready()

    contract = metadata.contract.tasks["t2v"]
    steps = contract.parameters["steps"]
    assert (steps.default, steps.minimum, steps.max_length) == (24, 1, None)
    assert contract.input_limits == {"ref_video_path": InputLimits(max_frames=241)}
    assert contract.max_pixels is None
    assert (status.completed_count, status.replicas[0].pid) == (7, 42)
    assert not readiness.is_ready
    assert readiness.message == "the pipeline is still being loaded"


def test_nobody_at_the_address_is_unavailable_with_a_remedy(server: FakeServer) -> None:
    server.stop()

    with Client(server.target) as client, pytest.raises(TeleFuserError) as caught:
        client.queue()

    assert isinstance(caught.value, Unavailable)
    assert server.target in caught.value.message
    assert "`telefuser serve`" in caught.value.message
    server.start()


def test_wait_within_a_limit_is_over_when_its_time_is(server: FakeServer, client: Client) -> None:
    server.add_task("task_1")

    with pytest.raises(TaskTimeoutError, match=r"within 0\.2 s"):
        client.within(0.2).wait("task_1")

    assert client.get("task_1").state is TaskState.PENDING


def test_call_within_a_limit_ends_when_nobody_answers(server: FakeServer, client: Client) -> None:
    server.stalls["GetTask"] = threading.Event()

    with pytest.raises(Unavailable, match="did not answer in time"):
        client.within(0.2).get("task_1")

    server.stalls["GetTask"].set()


def test_download_within_a_limit_leaves_what_it_has_for_the_next(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)
    server.cuts = [3, *[0] * 100]

    with pytest.raises(TaskTimeoutError):
        client.within(0.3).download(VIDEO_ID, tmp_path / "mine.mp4")
    server.cuts.clear()
    path = client.download(VIDEO_ID, tmp_path / "mine.mp4")

    assert path.read_bytes() == VIDEO
    assert server.requests["DownloadArtifact"][-1].offset == 200_000


def test_api_key_goes_with_every_call(server: FakeServer) -> None:
    with Client(f"http://{server.target}/", api_key="secret") as client:
        client.queue()

    assert server.metadata[-1]["authorization"] == "Bearer secret"
