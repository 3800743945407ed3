"""A pipeline file is imported, its contract read, its pipeline built, started and stopped."""

import hashlib
import importlib
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.pipeline.loader import PipelineLoadError, load
from tests.fakes.pipelines import write_file

RUN = """
def get_pipeline(parallelism):
    return {"parallelism": parallelism}

def run_with_file(pipeline, **task):
    return None
"""
LIFE = """
PIPELINE_CONTRACT = {"supported_tasks": ["t2v"]}
EVENTS = []

class Pipeline:
    async def astart(self): EVENTS.append("astart")
    def start(self): EVENTS.append("start")
    async def astop(self): EVENTS.append("astop")
    def stop(self): EVENTS.append("stop")

async def get_pipeline(**options):
    EVENTS.append(options)
    return Pipeline()

async def warmup(pipeline):
    EVENTS.append("warmup")

def run(pipeline, request, context):
    return None
"""


def test_the_module_is_named_by_the_files_path_and_forgotten_on_close(tmp_path: Path) -> None:
    path = write_file(tmp_path, RUN)
    name = f"telefuser_ppl_{hashlib.md5(str(path).encode()).hexdigest()[:12]}"

    loaded = load(path, task="t2v", parallelism=1)

    assert loaded.module is sys.modules[name]
    loaded.close()
    assert name not in sys.modules


def test_parallelism_reaches_the_file_by_keyword(tmp_path: Path) -> None:
    loaded = load(write_file(tmp_path, RUN), task="t2v", parallelism=4)

    assert loaded.pipeline == {"parallelism": 4}
    loaded.close()


def test_a_file_that_takes_no_parallelism_is_given_none(tmp_path: Path) -> None:
    source = """
        def get_pipeline(): return "built"
        def run_with_file(pipeline, **task): return None
    """

    loaded = load(write_file(tmp_path, source), task="t2v", parallelism=4)

    assert loaded.pipeline == "built"
    loaded.close()


def test_a_pipeline_is_started_warmed_and_stopped_on_one_event_loop(tmp_path: Path) -> None:
    loaded = load(write_file(tmp_path, LIFE), task=None, parallelism=2)
    events = loaded.module.EVENTS

    loaded.close()

    assert events == [{"parallelism": 2}, "astart", "warmup", "astop"]


def test_a_pipeline_without_coroutines_is_started_and_stopped(tmp_path: Path) -> None:
    source = LIFE.replace("astart(self)", "other(self)").replace("astop(self)", "others(self)")
    loaded = load(write_file(tmp_path, source), task=None, parallelism=1)
    events = loaded.module.EVENTS

    loaded.close()

    assert events == [{"parallelism": 1}, "start", "warmup", "stop"]


def test_a_pipeline_that_fails_to_stop_is_forgotten_all_the_same(tmp_path: Path) -> None:
    source = LIFE.replace('EVENTS.append("astop")', "raise RuntimeError")
    loaded = load(write_file(tmp_path, source), task=None, parallelism=1)

    loaded.close()

    assert loaded.module.__name__ not in sys.modules


DECLARATIONS = [
    "def get_pipeline_contract(): return {'supported_tasks': 't2v', 'pipeline_name': 'first'}",
    "def get_pipeline_manifest(): return {'supported_tasks': 't2v', 'pipeline_name': 'second'}",
    "PIPELINE_CONTRACT = {'supported_tasks': 't2v', 'pipeline_name': 'third'}",
    "PIPELINE_MANIFEST = {'supported_tasks': 't2v', 'pipeline_name': 'fourth'}",
]


@pytest.mark.parametrize("first", range(4))
def test_the_first_of_four_declarations_is_the_contract(tmp_path: Path, first: int) -> None:
    names = ["first", "second", "third", "fourth"]
    source = RUN + "\n".join(reversed(DECLARATIONS[first:]))

    loaded = load(write_file(tmp_path, source), task=None, parallelism=1)

    assert loaded.contract.pipeline_name == names[first]
    loaded.close()


OBJECT = "PipelineContract(pipeline_name='whole', tasks={'t2v': TaskContract.parse('t2v', {})})"


@pytest.mark.parametrize(
    "declaration",
    [f"PIPELINE_CONTRACT = {OBJECT}", f"def get_pipeline_contract(): return {OBJECT}"],
)
def test_a_contract_may_be_an_object(tmp_path: Path, declaration: str) -> None:
    source = "from telefuser_grpc.domain.contract import PipelineContract, TaskContract\n"

    loaded = load(write_file(tmp_path, source + RUN + declaration), task="t2v", parallelism=1)

    assert (loaded.contract.pipeline_name, loaded.contract.declared) == ("whole", True)
    loaded.close()


@pytest.mark.parametrize("name", ["get_pipeline_contract", "get_pipeline_manifest"])
def test_what_is_named_like_a_function_but_is_none_declares_nothing(
    tmp_path: Path, name: str
) -> None:
    source = RUN + f"{name} = {{'supported_tasks': ['t2i']}}\n" + DECLARATIONS[3]

    loaded = load(write_file(tmp_path, source), task=None, parallelism=1)

    assert loaded.contract.pipeline_name == "fourth"
    loaded.close()


def test_what_belongs_to_other_services_is_left_alone(tmp_path: Path) -> None:
    source = RUN + "CACHE_CONFIG = {'mode': 'read_write'}\ndef get_service(): raise ValueError\n"

    loaded = load(write_file(tmp_path, source), task="t2v", parallelism=1)

    assert not loaded.contract.declared
    loaded.close()


def test_a_file_without_a_contract_is_served_as_the_task_it_is_named_for(tmp_path: Path) -> None:
    loaded = load(write_file(tmp_path, RUN, name="clips.py"), task="fl2v", parallelism=1)

    assert (loaded.contract.contract_version, loaded.contract.declared) == ("legacy", False)
    assert loaded.contract.pipeline_name == "clips"
    assert loaded.contract.task("fl2v").required_inputs == ("first_image_path", "last_image_path")
    loaded.close()


def test_a_file_without_a_contract_is_served_as_i2v_where_no_task_is_named(tmp_path: Path) -> None:
    loaded = load(write_file(tmp_path, RUN), task=None, parallelism=1)

    assert list(loaded.contract.tasks) == ["i2v"]
    loaded.close()


def test_entry_points_may_have_other_names(tmp_path: Path) -> None:
    source = """
        PIPELINE_CONTRACT = {
            "supported_tasks": ["t2v"],
            "entrypoints": {"get_pipeline": "build", "run_with_file": "make"},
        }
        def build(): return "built"
        def make(pipeline): return pipeline
    """

    loaded = load(write_file(tmp_path, source), task="t2v", parallelism=1)

    assert loaded.entry.call(loaded.pipeline, {}, None) == "built"
    loaded.close()


BROKEN = [
    ("def get_pipeline(): pass", "t2v", "Pipeline file must define run_with_file(...) for service"),
    (
        "def get_pipeline(): pass\ndef run(pipeline, request): return request",
        "t2v",
        "or run(pipeline, request, context)",
    ),
    ("def get_service(): pass", "t2v", "serve it with `telefuser stream-serve`"),
    ("def run_with_file(p): pass", "t2v", "Pipeline file must define get_pipeline(...)"),
    (
        RUN.replace("(parallelism):", "(config, parallelism, device='cuda'):"),
        "t2v",
        "get_pipeline needs config, which nothing gives: it may take parallelism and options; "
        "give others a default",
    ),
    (
        RUN + "PIPELINE_CONTRACT = {'supported_tasks': ['t2i'], 'pipeline_name': 'stills'}",
        "t2v",
        "Pipeline contract for stills does not declare support for task 't2v'",
    ),
    (
        RUN + "PIPELINE_CONTRACT = ['t2v']",
        None,
        "Pipeline contract must be a dict, PipelineContract, or returned from a callable",
    ),
    (
        RUN + "def get_pipeline_manifest(): return None",
        None,
        "Pipeline contract must be a dict, PipelineContract, or returned from a callable",
    ),
    (RUN, "dance", "Task 'dance' is unknown; name one of t2v, i2v, fl2v, vc, vsr, s2v, t2i"),
    (
        RUN + "PIPELINE_CONTRACT = {'supported_tasks': 't2v', 'task_contracts': []}",
        None,
        "Pipeline contract: task_contracts: must be an object",
    ),
    (RUN + "PIPELINE_CONTRACT = {}", None, "Pipeline contract: supported_tasks: name at least one"),
    ("import no_such_module", None, "ModuleNotFoundError: No module named 'no_such_module'"),
    ("raise SystemExit(3)", None, "SystemExit: 3 (line 1)"),
    ("x = 1\ndef broken(:", None, "(line 2)"),
    (
        RUN.replace("return {", "raise OSError('no weights in /srv/secret/weights')\n    {"),
        "t2v",
        "OSError: no weights in <path> (line 3)",
    ),
    (
        LIFE.replace('EVENTS.append("warmup")', "raise RuntimeError('cold')"),
        None,
        "RuntimeError: cold",
    ),
]


@pytest.mark.parametrize(("source", "task", "message"), BROKEN)
def test_a_file_that_cannot_be_served_says_why_without_a_path(
    tmp_path: Path, source: str, task: str | None, message: str
) -> None:
    path = write_file(tmp_path, source)
    modules = set(sys.modules)

    with pytest.raises(PipelineLoadError) as raised:
        load(path, task=task, parallelism=1)

    assert message in str(raised.value)
    assert str(tmp_path) not in str(raised.value)
    assert "/srv" not in str(raised.value)
    assert not [name for name in set(sys.modules) - modules if name.startswith("telefuser_ppl_")]


def test_a_doubtful_contract_is_told_in_the_log(tmp_path: Path) -> None:
    source = RUN + "PIPELINE_CONTRACT = {'supported_tasks': ['t2v'], 'pipelin_name': 'walls'}"

    with capture_logs() as lines:
        load(write_file(tmp_path, source), task=None, parallelism=1).close()

    (told,) = [line for line in lines if line["event"] == "pipeline contract is doubtful"]
    assert told["doubt"] == "pipelin_name is not known and has no effect; write pipeline_name"


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineLoadError, match=r"^Pipeline file absent\.py does not exist$"):
        load(tmp_path / "absent.py", task=None, parallelism=1)


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, RUN, name="pipeline.txt")

    with pytest.raises(PipelineLoadError, match=r"pipeline\.txt is not a Python file"):
        load(path, task="t2v", parallelism=1)


def test_files_written_for_telefuser_find_its_contract_templates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        from telefuser.service.core.contract_templates import build_pipeline_manifest
        PIPELINE_MANIFEST = build_pipeline_manifest(pipeline_name="x", supported_tasks=["i2v"])
        def get_pipeline(parallelism=1): return object()
        def run_with_file(pipeline, **task): return None
    """
    before = {name for name in sys.modules if name.split(".")[0] == "telefuser"}

    loaded = load(write_file(tmp_path, source), task="i2v", parallelism=1)

    assert loaded.contract.task("i2v").required_inputs == ("first_image_path",)
    loaded.close()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'telefuser\.pipelines'"):
        importlib.import_module("telefuser.pipelines")
    for name in {each for each in sys.modules if each.split(".")[0] == "telefuser"} - before:
        monkeypatch.delitem(sys.modules, name, raising=False)
