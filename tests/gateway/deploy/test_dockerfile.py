"""The Dockerfile: what its images are, and that every command in it does its work."""

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.gateway.deploy.conftest import FOLDER, ROOT
from tests.gateway.deploy.dockerfile import Stage

IMAGES = ("cpu", "cuda", "gateway")
LIBRARIES = sysconfig.get_path("purelib")


@pytest.mark.parametrize("name", IMAGES)
def test_image_runs_as_nobody_special(stages: dict[str, Stage], name: str) -> None:
    assert stages[name].last("USER") == "10001:10001"


@pytest.mark.parametrize("name", IMAGES)
def test_image_has_nothing_of_its_build_but_the_environment(
    stages: dict[str, Stage], name: str
) -> None:
    copies = [value for value in stages[name].values("COPY") if "--from" in value]

    source = {"cpu": "build-cpu", "cuda": "build-cuda", "gateway": "build"}[name]
    assert copies == [f"--from={source} /opt/telefuser /opt/telefuser"]
    assert stages[name].environment["PATH"].startswith("/opt/telefuser/bin:")


@pytest.mark.parametrize("name", IMAGES)
def test_image_shows_its_ports_and_is_asked_for_its_health(
    stages: dict[str, Stage], name: str
) -> None:
    assert stages[name].values("EXPOSE") == ["8000 7860"]
    assert "--interval=10s" in stages[name].last("HEALTHCHECK")


def test_service_keeps_results_and_logs_in_volumes_that_its_user_may_write(
    stages: dict[str, Stage],
) -> None:
    made = " ".join(stages["base"].values("RUN"))

    assert stages["cpu"].last("VOLUME") == '["/app/outputs", "/app/logs"]'
    assert re.search(r"--owner=10001 --group=10001 /app /app/outputs /app/logs", made)


def test_gpu_image_asks_the_container_toolkit_for_the_driver(stages: dict[str, Stage]) -> None:
    assert stages["cuda"].environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert stages["cuda"].environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_torch_comes_before_what_would_draw_another_build_of_it(stages: dict[str, Stage]) -> None:
    for name, index in (("build-cpu", "whl/cpu"), ("build-cuda", "whl/${CUDA}")):
        (command,) = [value for kind, value in stages[name].own if kind == "RUN"]
        torch, rest = command.split("&&")
        assert index in torch
        assert rest.strip().endswith("'.[pipelines]'")


def test_every_version_is_pinned(stages: dict[str, Stage]) -> None:
    text = (FOLDER / "Dockerfile").read_text()
    installs = [
        command
        for stage in stages.values()
        for kind, value in stage.own
        if kind == "RUN"
        for command in value.split("&&")
        if "pip install" in command
    ]

    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+$", text, re.MULTILINE)
    assert ":latest" not in text
    assert all("--constraint requirements.lock" in each for each in installs)
    assert len(installs) == 5


def test_stages_begin_with_one_base_image_and_copy_from_known_stages(
    stages: dict[str, Stage],
) -> None:
    parents = {stage.parent for stage in stages.values()} - stages.keys()
    sources = re.findall(r"--from=(\S+)", (FOLDER / "Dockerfile").read_text())

    assert parents == {"${PYTHON_IMAGE}"}
    assert set(sources) <= stages.keys()


def copied(stages: dict[str, Stage], name: str, folder: Path) -> None:
    """Does what the COPY instructions of a stage do with the context."""
    for kind, value in stages[name].own:
        if kind == "COPY" and "--from" not in value:
            *sources, target = shlex.split(value)
            for source in sources:
                assert is_sent(source), f"{source} is not sent to Docker"
                place = folder / target / (Path(source).name if target == "./" else "")
                if (ROOT / source).is_dir():
                    shutil.copytree(
                        ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__")
                    )
                else:
                    shutil.copy(ROOT / source, place)


def is_sent(source: str) -> bool:
    rules = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    taken = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    return any(fnmatch.fnmatch(source.split("/")[0], rule) for rule in taken)


def test_package_is_built_and_installed_of_what_the_build_copies(
    stages: dict[str, Stage], tmp_path: Path
) -> None:
    """The commands of the build stage, without a network: nothing is installed beside us."""
    source, target = tmp_path / "src", tmp_path / "telefuser"
    source.mkdir()
    copied(stages, "build", source)
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it the other way round: build with what is here
        "PYTHONPATH": LIBRARIES,
        "PATH": f"{target}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    environment = os.environ | stages["build"].environment | offline

    for command in [value for kind, value in stages["build"].own if kind == "RUN"]:
        placed = command.replace("/opt/telefuser", str(target))
        run(placed, source, environment)

    shown = run(f"{target}/bin/telefuser --help", tmp_path, environment)
    packages = target / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    assert "serve" in shown
    assert (packages / "telefuser_grpc/_gateway/envoy.yaml").is_file()
    assert (packages / "telefuser_grpc/server/docs_assets/studio.html").is_file()


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes users")
def test_user_and_folders_are_made(stages: dict[str, Stage], tmp_path: Path) -> None:
    (command,) = [value for kind, value in stages["base"].own if kind == "RUN"]
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow", "login.defs"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), tmp_path / "etc" / name)
    group, user, install = (part.strip() for part in command.split("&&"))

    for each in (group, user):
        run(each.replace("add ", f"add --prefix {tmp_path} ", 1), tmp_path, dict(os.environ))
    run(re.sub(r" /", f" {tmp_path}/", install), tmp_path, dict(os.environ))

    assert "telefuser:x:10001:10001:" in (tmp_path / "etc/passwd").read_text()
    assert "telefuser:x:10001:" in (tmp_path / "etc/group").read_text()
    for folder in ("app/outputs", "app/logs", "run/gateway"):
        assert (tmp_path / folder).stat().st_uid == 10001


@pytest.mark.parametrize("name", IMAGES)
def test_start_script_of_the_image_is_one_that_is_copied(
    stages: dict[str, Stage], name: str
) -> None:
    shell, script = stages[name].command("CMD")

    assert shell == "bash"
    assert (FOLDER / script).is_file()
    assert f"gateway/deploy/{script}" in " ".join(stages[name].values("COPY"))


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
