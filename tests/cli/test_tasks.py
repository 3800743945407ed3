"""The verbs, against a scripted service on a real port."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from telefuser_grpc._gen.telefuser.v1 import task_pb2
from telefuser_grpc.errors import InvalidFields, QueueFull, Unauthenticated, Violation
from tests.cli.conftest import Outcome
from tests.fakes.server import VIDEO, FakeServer, completed_script, progress_event, state_event

Run = Callable[..., Outcome]
PENDING = state_event(task_pb2.TASK_STATE_PENDING)
PROCESSING = state_event(task_pb2.TASK_STATE_PROCESSING)
FAILED = state_event(
    task_pb2.TASK_STATE_FAILED,
    error=task_pb2.TaskError(reason="ERROR_REASON_OUT_OF_MEMORY", message="too big a picture"),
)


def test_submit_shows_every_step_and_saves_the_result(
    server: FakeServer, run: Run, tmp_path: Path
) -> None:
    target = tmp_path / "circle.mp4"

    outcome = run("submit", "a red circle", "--output", str(target))

    assert outcome.code == 0
    assert "task_1 denoising, step 2 of 3, 2 s left" in outcome.stdout
    assert "task_1 completed" in outcome.stdout
    assert f"saved {target} (740 kB)" in outcome.stdout
    assert target.read_bytes() == VIDEO
    assert outcome.stderr == ""


def test_key_of_the_environment_goes_with_the_calls(
    server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_API_KEY", "sk-0123456789\n")

    run("queue")

    assert server.metadata[-1]["authorization"] == "Bearer sk-0123456789"


def test_who_is_not_let_in_is_told_where_the_key_belongs(server: FakeServer, run: Run) -> None:
    server.failures["GetQueue"] = [Unauthenticated("The API key is not valid")]

    outcome = run("queue")

    assert outcome.code == 1
    assert outcome.stderr == (
        "error: The API key is not valid"
        " (TELEFUSER_API_KEY holds the key that this command sends)\n"
    )


def test_key_that_no_header_can_carry_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_API_KEY", "schlüssel")

    outcome = run("queue")

    assert (outcome.code, outcome.stderr) == (
        1,
        "error: the API key must be of visible ASCII characters\n",
    )


def test_submit_sends_parameters_with_their_types_and_local_files(
    server: FakeServer, run: Run, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"cat")

    run(
        *("submit", "a cat", "--task", "I2V", "--seed", "7", "--no-watch"),
        *("--set", "steps=4", "--set", "size=480p", "--set", "fast=true"),
        *("--input", f"first_image_path={picture}", "--input", "audio_path=media/cat.wav"),
    )

    (request,) = server.requests["CreateTask"]
    assert (request.kind, request.seed) == ("i2v", 7)
    assert dict(request.parameters) == {"steps": 4, "size": "480p", "fast": True}
    assert server.uploads[request.inputs["first_image_path"].upload_id] == b"cat"
    assert request.inputs["audio_path"].uri == "media/cat.wav"


def test_submit_without_watch_prints_the_id_alone(server: FakeServer, run: Run) -> None:
    outcome = run("submit", "a red circle", "--no-watch")

    assert (outcome.code, outcome.stdout) == (0, "task_1\n")
    assert not server.requests["WatchTask"]


def test_submit_as_json_prints_nothing_but_objects(
    server: FakeServer, run: Run, tmp_path: Path
) -> None:
    outcome = run("submit", "a red circle", "--json", "-o", str(tmp_path))

    *events, task, saved = map(json.loads, outcome.stdout.splitlines())
    assert [each["sequence"] for each in events] == [1, 2, 3, 4, 5, 6]
    assert events[2]["progress"]["step"] == 1
    assert task["state"] == events[-1]["state_change"]["state"] == "completed"
    assert Path(saved["path"]).read_bytes() == VIDEO


def test_submit_of_a_task_that_fails_ends_with_one(server: FakeServer, run: Run) -> None:
    server.script = [PENDING, PROCESSING, FAILED]

    outcome = run("submit", "a red circle")

    assert outcome.code == 1
    assert outcome.stderr == "error: task_1 failed: too big a picture (OUT_OF_MEMORY)\n"


def test_refusal_is_one_line_and_a_line_for_each_field(server: FakeServer, run: Run) -> None:
    server.failures["CreateTask"] = [
        InvalidFields(
            [Violation("steps", "must be at most 100"), Violation("seed", "is no number")]
        )
    ]

    outcome = run("submit", "a red circle")

    assert outcome.code == 1
    assert outcome.stderr.splitlines() == [
        "error: steps: must be at most 100; seed: is no number",
        "  steps: must be at most 100",
        "  seed: is no number",
    ]


def test_refusal_that_says_it_all_is_one_line(server: FakeServer, run: Run) -> None:
    server.failures["CreateTask"] = [InvalidFields([Violation("steps", "must be at most 100")])]

    assert run("submit", "a red circle").stderr == "error: steps: must be at most 100\n"


def test_full_queue_is_an_error_without_a_trace(server: FakeServer, run: Run) -> None:
    server.failures["CreateTask"] = [QueueFull(10)]

    outcome = run("submit", "a red circle", "--json")

    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == "error: Task queue is full (max 10 tasks)\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "a cat", "--set", "steps"),
        ("submit", "a cat", "--input", "=cat.png"),
        ("submit", "a cat", "--no-watch", "-o", "cat.mp4"),
        ("list", "--state", "asleep"),
        ("submit",),
        ("dance",),
    ],
)
def test_misuse_ends_with_two(arguments: tuple[str, ...], server: FakeServer, run: Run) -> None:
    outcome = run(*arguments)

    assert outcome.code == 2
    assert "Usage: telefuser" in outcome.stderr
    assert not server.requests


def test_nobody_at_the_address_says_how_to_start_a_service(server: FakeServer, run: Run) -> None:
    server.stop()

    outcome = run("queue")

    assert outcome.code == 1
    assert outcome.stderr == (
        f"error: No TeleFuser service answers at {server.target}; "
        "start one with `telefuser serve`, or check the address\n"
    )
    server.start()


def test_server_option_wins_over_the_environment(
    server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_SERVER", "127.0.0.1:1")

    assert run("queue", "-s", server.target).code == 0


def test_watch_goes_on_after_a_sequence(server: FakeServer, run: Run) -> None:
    server.add_task("task_1", completed_script(steps=2))

    outcome = run("watch", "task_1", "--after", "3", "--json")

    *events, task = map(json.loads, outcome.stdout.splitlines())
    assert [each["sequence"] for each in events] == [4, 5]
    assert task["artifacts"][0]["filename"] == "video.mp4"


def test_watch_without_output_says_how_to_save(server: FakeServer, run: Run) -> None:
    server.add_task("task_1", completed_script(steps=1))

    outcome = run("watch", "task_1")

    assert outcome.stdout.splitlines()[-1] == "save it with: telefuser download task_1"
    assert "made local:tasks/task_1/outputs/videos/video.mp4 (740 kB)" in outcome.stdout


def test_interrupted_watch_leaves_the_task_and_says_how_to_go_on(server: FakeServer) -> None:
    server.add_task("task_1", [PENDING, PROCESSING, progress_event(1, 9)])
    with subprocess.Popen(
        [sys.executable, "-m", "telefuser_grpc.cli.main", "watch", "task_1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout
        seen = [command.stdout.readline() for _ in range(3)]

        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=30)

    assert "step 1 of 9" in seen[-1]
    assert command.returncode == 130
    assert re.fullmatch(  # the interrupt may hit before the third event counts as seen
        r"\nThe task goes on\. See it again with: telefuser watch task_1 --after [23]\n", errors
    )
    assert not server.requests["CancelTask"]


def test_watch_on_a_terminal_draws_a_bar(server: FakeServer) -> None:
    server.add_task("task_1", completed_script(steps=3))
    ours, theirs = pty.openpty()

    command = subprocess.run(
        [sys.executable, "-m", "telefuser_grpc.cli.main", "watch", "task_1"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        timeout=60,
        check=False,
    )
    os.close(theirs)
    drawn = _drained(ours)

    assert (command.returncode, command.stderr) == (0, b"")
    assert "3/3" in drawn
    assert "completed" in drawn


def test_get_shows_what_there_is_to_know(server: FakeServer, run: Run) -> None:
    server.add_task("task_1", [PENDING, PROCESSING, progress_event(1, 9), FAILED], seed=7)

    outcome = run("get", "task_1")

    facts = dict(line.split(maxsplit=1) for line in outcome.stdout.splitlines())
    assert (facts["task"], facts["state"], facts["seed"]) == ("task_1", "failed", "7")
    assert (facts["progress"], facts["error"]) == ("1/9", "too big a picture (OUT_OF_MEMORY)")


def test_get_of_an_unknown_task_ends_with_one(server: FakeServer, run: Run) -> None:
    outcome = run("get", "task_9", "--json")

    assert (outcome.code, outcome.stdout, outcome.stderr) == (1, "", "error: Task not found\n")


def test_list_keeps_the_filter_and_the_limit(server: FakeServer, run: Run) -> None:
    for number in range(4):
        server.add_task(f"task_{number}", [PENDING, PROCESSING, progress_event(1, 9)])
    server.add_task("task_4")

    lines = run("list", "--state", "processing", "--limit", "2").stdout.splitlines()
    records = run("list", "--limit", "3", "--json").stdout.splitlines()

    assert [line.split()[:4] for line in lines] == [
        ["TASK", "KIND", "STATE", "STEPS"],
        ["task_3", "t2v", "processing", "1/9"],
        ["task_2", "t2v", "processing", "1/9"],
    ]
    assert [json.loads(each)["task_id"] for each in records] == ["task_4", "task_3", "task_2"]


def test_cancel_tells_the_new_state(server: FakeServer, run: Run) -> None:
    server.add_task("task_1")

    outcome = run("cancel", "task_1")

    assert (outcome.code, outcome.stdout) == (0, "task_1 cancelled\n")


@pytest.mark.parametrize(
    "name", ["task_1", "video.mp4", "local:tasks/task_1/outputs/videos/video.mp4"]
)
def test_download_takes_a_task_or_a_file(
    name: str, server: FakeServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_task("task_1", completed_script(steps=1))
    monkeypatch.chdir(tmp_path)

    outcome = run("download", name)

    assert outcome.stdout == "saved video.mp4 (740 kB)\n"
    assert Path("video.mp4").read_bytes() == VIDEO


def test_download_of_an_unfinished_task_says_so(server: FakeServer, run: Run) -> None:
    server.add_task("task_1")

    outcome = run("download", "task_1")

    assert outcome.code == 1
    assert outcome.stderr == "error: task_1 is pending and has made no file\n"


def test_download_to_a_folder_that_is_not_there_names_it(
    server: FakeServer, run: Run, tmp_path: Path
) -> None:
    server.add_task("task_1", completed_script(steps=1))

    outcome = run("download", "task_1", "-o", str(tmp_path / "nowhere" / "video.mp4"))

    assert outcome.code == 1
    assert "nowhere" in outcome.stderr
    assert outcome.stderr.endswith("no such file or directory\n")


def test_queue_shows_who_runs_and_who_is_next(server: FakeServer, run: Run) -> None:
    server.add_task("task_1", [PROCESSING])
    server.add_task("task_2")

    text, record = run("queue").stdout, json.loads(run("queue", "--json").stdout)

    assert text.splitlines() == [
        "1 running, 1 waiting, room for 10",
        "  running  task_1",
        "        1  task_2",
    ]
    assert (record["running"], record["waiting"][0]["task_id"]) == (["task_1"], "task_2")


def _drained(terminal: int) -> str:
    drawn = b""
    try:
        while piece := os.read(terminal, 65536):
            drawn += piece
    except OSError:  # what Linux says at the end of a terminal
        os.close(terminal)
    return drawn.decode()
