"""The command line: every documented command as it is written, run by a shell."""

import re
from pathlib import Path

import httpx
import pytest

from tests.documents.samples import sample
from tests.documents.serving import EVERY_TASK, PIPELINES, Served, lay_out
from tests.documents.shell import Outcome, run

UNSAFE, UNLISTED = PIPELINES / "unsafe.py", PIPELINES / "unlisted.py"
LISTENS = "0A"  # as the kernel writes it


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("safe"))


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("unsafe"), UNSAFE)


def metadata_of(served: Served) -> dict[str, object]:
    with served.http() as http:
        metadata: dict[str, object] = http.get("/v1/service/metadata").json()
    return metadata


def test_serve_takes_all_options_by_their_long_names(safe: Path) -> None:
    with Served(sample("serve-all-options"), safe) as served:
        metadata = metadata_of(served)
        elsewhere = httpx.get(f"http://127.0.0.2:{served.port}/v1/service/health", trust_env=False)

    assert str(metadata["pipeline_file"]) in served.command
    assert (metadata["task"], metadata["parallelism"]) == ("i2v", 2)
    assert elsewhere.status_code == 200
    assert served.cache.is_dir()


def test_serve_takes_short_forms(safe: Path) -> None:
    with Served(sample("serve-short-forms"), safe) as served:
        metadata = metadata_of(served)

    assert (metadata["task"], metadata["parallelism"]) == ("i2v", 2)


@pytest.mark.parametrize(
    ("pipeline", "code", "status"), [(EVERY_TASK, 0, "SAFE"), (UNSAFE, 1, "UNSAFE")]
)
def test_serve_validates_only(tmp_path: Path, pipeline: Path, code: int, status: str) -> None:
    outcome = run(sample("serve-validate-only"), lay_out(tmp_path, pipeline))

    assert outcome.code == code
    assert f"Status: {status}\n" in outcome.stdout


def test_usage_of_serve_is_a_file_a_task_and_options(safe: Path) -> None:
    (safe / "pipeline").write_bytes(EVERY_TASK.read_bytes())
    command = sample("serve-usage").replace("[选项]", sample("serve-validate-only").split()[-1])

    assert run(command, safe).code == 0


@pytest.mark.parametrize("name", ["serve-skip-validation", "serve-unvalidated"])
def test_serve_skips_validation(unsafe: Path, name: str) -> None:
    with Served(sample(name), unsafe) as served:
        metadata = metadata_of(served)

    assert metadata["security_level"] == "NONE"


def test_bypass_of_validation_is_the_same_command() -> None:
    assert sample("serve-bypass") == sample("serve-unvalidated")


def test_serve_refuses_an_unsafe_file_unless_told_otherwise(unsafe: Path) -> None:
    outcome = run(sample("serve-skip-validation").replace("--skip-validation", ""), unsafe)

    assert outcome.code == 1
    assert "Security validation failed" in outcome.stderr


def test_serve_takes_another_port_when_one_is_in_use(
    service: Served, limited_service: Served, safe: Path
) -> None:
    in_use = run(
        limited_service.command.replace(str(limited_service.port), str(service.port)), safe
    )

    with limited_service.http() as http:
        health = http.get("/v1/service/health")

    assert in_use.code == 1
    assert str(service.port) in in_use.stderr
    assert health.status_code == 200


def test_serve_makes_i2v_of_a_file_without_a_contract_unless_told(plain_service: Served) -> None:
    metadata = metadata_of(plain_service)

    assert "--task" not in plain_service.command
    assert (metadata["task"], metadata["supported_tasks"]) == ("i2v", ["i2v"])


def test_serve_listens_on_the_one_port_that_a_firewall_lets_through(service: Served) -> None:
    assert sample("allow-port").split()[-2:] == ["allow", "8000"]

    assert listening_ports(service.process.pid) == {service.port}


def listening_ports(ancestor: int) -> set[int]:
    """Returns the TCP ports on which a process and all that it has started listen."""
    sockets = {
        target
        for pid in descendants(ancestor)
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if (target := str(link.readlink())).startswith("socket:")
    }
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in lines
        if fields[3] == LISTENS and f"socket:[{fields[9]}]" in sockets
    }


def descendants(ancestor: int) -> list[int]:
    """Returns a process and all that it has started."""
    children = Path(f"/proc/{ancestor}/task/{ancestor}/children").read_text().split()
    return [ancestor, *(each for child in children for each in descendants(int(child)))]


@pytest.mark.parametrize(
    ("name", "pipeline", "code"),
    [
        ("validate", EVERY_TASK, 0),
        ("validate-level", UNLISTED, 0),
        ("validate-strict", UNLISTED, 1),
        ("validate-report", UNSAFE, 1),
    ],
)
def test_validate_reports_what_it_finds(
    tmp_path: Path, name: str, pipeline: Path, code: int
) -> None:
    outcome = run(sample(name), lay_out(tmp_path, pipeline))

    assert outcome.code == code
    assert f"Status: {'UNSAFE' if code else 'SAFE'}\n" in outcome.stdout
    assert bool(re.search(r"^\[(CRITICAL|HIGH)\] Line \d+: \w+", outcome.stdout, re.M)) == bool(
        code
    )


def test_validate_writes_json_and_nothing_else(safe: Path, unsafe: Path) -> None:
    passed, refused = run(sample("validate-json"), safe), run(sample("validate-json"), unsafe)

    assert (passed.code, passed.json["is_safe"], passed.json["violations"]) == (0, True, [])
    assert (refused.code, refused.json["is_safe"]) == (1, False)
    assert refused.json["violations"][0]["severity"] == "critical"
    assert passed.stderr == refused.stderr == ""


def test_usage_of_validate_is_a_file_and_options(safe: Path) -> None:
    command = sample("validate-usage").replace("[选项]", "--level none --json")

    assert run(command, safe).json["is_safe"] is True


def test_scan_looks_into_folders_of_the_folder(unsafe: Path) -> None:
    outcome = run(sample("scan"), unsafe)

    assert outcome.code == 1
    assert "3 unsafe files found" in outcome.stdout


def test_scan_stays_in_the_folder_when_told(unsafe: Path) -> None:
    outcome = run(sample("scan-one-folder"), unsafe)

    assert outcome.code == 0
    assert "No Python files found" in outcome.stdout


def test_usage_of_scan_is_a_folder_and_options(safe: Path) -> None:
    (safe / "directory").mkdir()
    (safe / "directory" / "p.py").write_text("x = 1\n")

    outcome = run(sample("scan-usage").replace("[选项]", "--level basic --recursive"), safe)

    assert outcome.code == 0
    assert "Summary: 1/1 files are safe" in outcome.stdout


def test_help_names_every_documented_command(safe: Path) -> None:
    outcome = run(sample("help"), safe)

    assert outcome.code == 0
    assert {"serve", "validate", "scan"} <= words(outcome)


OPTIONS = {
    "--pipe_path": ("-pp", None),
    "--task": ("-t", "i2v"),
    "--port": ("-p", "8000"),
    "--host": (None, "127.0.0.1"),
    "--cache-dir": ("-c", "work_dirs/server_cache"),
    "--parallelism": ("-g", None),
    "--num-replicas": ("-n", "1"),
    "--security-level": (None, "strict"),
    "--skip-validation": (None, None),
    "--validate-only": (None, None),
}


def test_help_of_serve_names_every_documented_option(safe: Path) -> None:
    outcome = run(sample("help-of-serve"), safe)

    told = words(outcome)
    for option, (short, default) in OPTIONS.items():
        assert {option, short or option, default or option} <= told, option


def words(outcome: Outcome) -> set[str]:
    return set(re.split(r"[\s│,:\[\]()]+|\.(?=\s)", outcome.stdout))
