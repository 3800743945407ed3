"""A program serves as documented, with and without the OpenAI paths."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from telefuser.service.api.api_server import ApiServer

from tests.fakes.service import Log, Service, clean_environment

PIPELINE = Path(__file__).parents[1] / "docs" / "instant_pipeline.py"
PROGRAM = """
import sys
from telefuser.service.api.api_server import ApiServer

server = ApiServer(
    pipe_path={pipeline!r}, enable_openai_api={switch}, port={port}, cache_dir={cache!r}
)
sys.exit(server.run())
"""
PATHS = (
    ("GET", "/v1/videos"),
    ("POST", "/v1/videos"),
    ("GET", "/v1/videos/task_1"),
    ("DELETE", "/v1/videos/task_1"),
    ("GET", "/v1/videos/task_1/content"),
    ("POST", "/v1/images/generations"),
    ("GET", "/v1/models"),
)


class Program(Service):
    """The service as a program of its own starts it."""

    def __init__(self, folder: Path, *, switch: str) -> None:
        super().__init__(PIPELINE, folder)
        self._switch = switch

    def launch(self) -> None:
        program = PROGRAM.format(
            pipeline=str(PIPELINE), switch=self._switch, port=self.port, cache=str(self.cache)
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=clean_environment() | {"TELEFUSER_LOG_FORMAT": "json"} | self._settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        self.log = Log(self.process.stderr)


@pytest.fixture(scope="module")
def switched_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        Program(tmp_path_factory.mktemp("off"), switch="False") as program,
        program.http() as http,
    ):
        yield http


@pytest.mark.parametrize(("given", "expected"), [(True, True), (False, False), (None, True)])
def test_switch_is_kept_and_on_by_default(given: bool | None, expected: bool) -> None:
    assert ApiServer(enable_openai_api=given).enable_openai_api is expected


@pytest.mark.parametrize(("given", "expected"), [(True, True), (None, False)])
def test_switch_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: bool | None, expected: bool
) -> None:
    monkeypatch.setenv("TELEFUSER_ENABLE_OPENAI_API", "false")

    assert ApiServer(enable_openai_api=given).enable_openai_api is expected


def test_program_serves_the_openai_paths_when_told_to(tmp_path: Path) -> None:
    with Program(tmp_path, switch="True") as program, program.http() as http:
        answer = http.get("/v1/videos")

    assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize(("verb", "path"), PATHS)
def test_switched_off_path_is_not_found_in_the_official_words(
    switched_off: httpx.Client, verb: str, path: str
) -> None:
    answer = switched_off.request(verb, path, json={"prompt": "p"} if verb == "POST" else None)

    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("not_found", "invalid_request_error")
    assert answer.json()["detail"]


def test_native_paths_are_served_when_the_openai_paths_are_not(switched_off: httpx.Client) -> None:
    assert switched_off.get("/v1/tasks/queue/status").status_code == 200
