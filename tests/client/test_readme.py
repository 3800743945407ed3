"""The examples of the page on the clients run, each as a program of its own."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from telefuser_grpc import client
from tests.fakes.openai_service import FILM, PICTURE, OpenAIService
from tests.fakes.service import Service
from tests.fakes.streams import chunk
from tests.server.stream_backend import StreamBackend

PAGE = Path(client.__file__).with_name("README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SESSIONS = [each for each in EXAMPLES if ".session(" in each]
NATIVE = [each for each in EXAMPLES if "OpenAI" not in each and each not in SESSIONS]
OPENAI = [each for each in EXAMPLES if "OpenAI" in each]
PIPELINE = Path(__file__).parent / "every_kind_pipeline.py"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("readme")
    with Service(PIPELINE, folder, rate_limit_enabled=False) as service:
        yield service


def run(example: str, folder: Path, address: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "utf8", "-c", in_haste(example, address)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_haste(example: str, address: str) -> str:
    example = example.replace("127.0.0.1:8000", address).replace("127.0.0.1:8088", address)
    return "import time; pause = time.sleep; time.sleep = lambda _: pause(0.05)\n" + example


@pytest.mark.parametrize(
    ("example", "told", "files"),
    [
        (NATIVE[0], r"1 .*PENDING.*\n5 .*COMPLETED", {"circle.mp4"}),
        (NATIVE[1], r"completed", set()),
        (NATIVE[2], r"completed\ncompleted", set()),
        (NATIVE[3], r"PENDING.*COMPLETED", set()),
        (NATIVE[4], r"prompt .*required parameters", set()),
        (NATIVE[5], r"任务创建: task_", {"output.mp4"}),
        (NATIVE[6], r"success|do_nothing", set()),
        (NATIVE[7], r"True", set()),
    ],
    ids=["follow", "limits", "inputs", "asyncio", "errors", "video", "batch", "fleet"],
)
def test_example_runs(
    service: Service, tmp_path: Path, example: str, told: str, files: set[str]
) -> None:
    Image.new("RGB", (32, 24), "navy").save(tmp_path / "input.jpg")

    output = run(example, tmp_path, service.target)

    assert re.search(told, output, re.DOTALL), output
    assert {each.name for each in tmp_path.iterdir()} == files | {"input.jpg"}


def test_every_example_is_run() -> None:
    assert (len(NATIVE), len(OPENAI), len(SESSIONS)) == (8, 1, 1)


def test_openai_example_runs(tmp_path: Path) -> None:
    with OpenAIService() as service:
        run(OPENAI[0], tmp_path, service.url.removeprefix("http://"))

    assert (tmp_path / "sunset.png").read_bytes() == PICTURE
    assert (tmp_path / "cat.mp4").read_bytes() == FILM


async def test_session_example_runs(tmp_path: Path) -> None:
    async with StreamBackend(tmp_path) as backend:
        backend.host.returns_id = "world"
        running = asyncio.to_thread(run, SESSIONS[0], tmp_path, backend.address)
        backend.host.make("world", *[chunk(index, stage="walking") for index in range(3)])
        output = await running

    assert output == "".join(f"{each} 1 {{'stage': 'walking'}}\n" for each in range(3)) + "3\n"
    assert backend.host.pushed["world"] == [{"type": "control_state", "controls": ["w"]}]
    assert (tmp_path / "last.png").exists()
