"""`telefuser new-pipeline`: a file that serves as it is written, and what it refuses."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.fakes.media_files import still
from tests.fakes.service import Service
from tests.pipelines.serving import Made, Served

pytest.importorskip("diffusers")

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.pipelines.tiny.wan import save_wan22_i2v

    folder = tmp_path_factory.mktemp("models") / "Tiny-Wan"
    save_wan22_i2v(folder)
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_file_has_the_name_of_the_model_and_the_output_says_what_to_do(
    run: Run, model: Path, tmp_path: Path
) -> None:
    outcome = run("new-pipeline", str(model))

    assert outcome.code == 0, outcome.stderr
    assert f'MODEL = "{model}"' in (tmp_path / "tiny_wan.py").read_text()
    assert outcome.stdout.startswith("wrote tiny_wan.py: WanImageToVideoPipeline, for i2v, fl2v\n")
    assert "  telefuser serve tiny_wan.py\n" in outcome.stdout
    assert "some seconds" in outcome.stderr.splitlines()[0]


def test_directory_is_written_as_an_absolute_path(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(model.parent)

    run("new-pipeline", model.name, "-o", str(tmp_path / "made.py"))

    assert f'MODEL = "{model}"' in (tmp_path / "made.py").read_text()


def test_file_that_is_there_is_kept(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")

    outcome = run("new-pipeline", str(model), "-o", "mine.py")

    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == (
        "error: 'mine.py' is there already; name another with -o, or add --force\n"
    )
    assert (tmp_path / "mine.py").read_text() == "mine"


def test_file_named_like_the_model_is_kept_too(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny_wan.py").write_text("mine")

    assert run("new-pipeline", str(model)).code == 2
    assert (tmp_path / "tiny_wan.py").read_text() == "mine"


def test_force_writes_over_a_file(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")

    assert run("new-pipeline", str(model), "-o", "mine.py", "--force").code == 0
    assert "WanImageToVideoPipeline" in (tmp_path / "mine.py").read_text()


@pytest.mark.parametrize(
    ("output", "why"),
    [(".", "'.' is a folder; name a file in it"), ("none/a.py", "no such file or directory")],
)
def test_place_that_takes_no_file_is_refused(output: str, why: str, run: Run, model: Path) -> None:
    outcome = run("new-pipeline", str(model), "-o", output)

    assert outcome.code in (1, 2)
    assert why in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (None, "has no model_index.json; download the model in its diffusers form"),
        ({"_class_name": "FuturePipeline"}, "has no pipeline class 'FuturePipeline'"),
        ({"_class_name": "DiTPipeline"}, "DiTPipeline takes class_labels, which"),
    ],
)
def test_model_that_cannot_be_drafted_leaves_no_file(
    index: dict[str, str] | None, why: str, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if index is not None:
        (folder / "model_index.json").write_text(json.dumps(index))

    outcome = run("new-pipeline", str(folder), "-o", "made.py")

    assert (outcome.code, outcome.stdout) == (1, "")
    assert why in outcome.stderr
    assert not (tmp_path / "made.py").exists()


def test_directory_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("new-pipeline", str(tmp_path / "none"))

    assert outcome.code == 1
    assert "there is no directory" in outcome.stderr


def test_help_stands_with_what_serves(run: Run) -> None:
    text = run("--help").stdout

    assert text.index("serve") < text.index("new-pipeline") < text.index("Use a running service")
    assert "Usage: telefuser new-pipeline" in run("new-pipeline", "--help").stdout


def test_command_line_starts_without_diffusers() -> None:
    code = "import sys, telefuser_grpc.cli.main; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"diffusers", "telefuser_grpc.pipeline.drafting"} & set(loaded)


def test_printed_request_makes_a_picture_of_the_usual_size(run: Run, tmp_path: Path) -> None:
    from tests.pipelines.tiny.pictures import save_stable_diffusion

    save_stable_diffusion(tmp_path / "model")
    printed = run("new-pipeline", "model").stdout

    with Service(tmp_path / "model.py", tmp_path) as service, service.http() as http:
        made = _made(Served(service, http), _answer(printed, service))

    assert made.picture == ("PNG", (64, 64))
    assert made.steps[-1] == 50


def test_printed_request_makes_a_clip_of_a_picture(run: Run, model: Path, tmp_path: Path) -> None:
    """It is made small here: the usual size would take minutes."""
    printed = run("new-pipeline", str(model)).stdout
    (tmp_path / "picture.png").write_bytes(still(width=90, height=60))
    small = ("-Fwidth=96", "-Fheight=64", "-Fnum_frames=5", "-Fnum_inference_steps=2")

    with Service(tmp_path / "tiny_wan.py", tmp_path) as service, service.http() as http:
        made = _made(Served(service, http), _answer(printed, service, *small))

    assert made.frames == [(96, 64)] * 5
    assert made.steps == [1, 2]


def _answer(printed: str, service: Service, *more: str) -> dict[str, str]:
    """Runs the command that was printed last, as a shell would."""
    command = printed.splitlines()[-1].replace("127.0.0.1:8000", service.target)
    done = subprocess.run([*shlex.split(command), *more], capture_output=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def _made(served: Served, answer: dict[str, str]) -> Made:
    events = served.follow(answer["task_id"])
    assert events[-1].data["status"] == "completed", events[-1]
    return Made(served.http.get(events[-1].data["artifacts"][0]["url"]).content, events)
