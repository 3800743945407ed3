"""A real Prometheus that scrapes a service."""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

PLACES = (Path(__file__).parents[2] / ".venv/prometheus/usr/bin", Path("/usr/bin"))
SCRAPE_SECONDS = 0.5
PATIENCE_SECONDS = 30.0
OF_EVERY_SERIES = {"__name__", "instance", "job"}
Vector = dict[tuple[str, ...], float]


def binary(name: str) -> str | None:
    """Returns where `prometheus` or `promtool` is installed."""
    found = (str(place / name) for place in PLACES if (place / name).is_file())
    return next(found, None) or shutil.which(name)


class Prometheus:
    """Prometheus as operators run it, but for how often it scrapes; it keeps its data in a folder.

    Args:
        target: Host and port of the service.
    """

    def __init__(self, folder: Path, *, target: str) -> None:
        self._folder = folder
        self._config = folder / "prometheus.yml"
        self._config.write_text(json.dumps(_scrape(target)))  # JSON is YAML

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                str(binary("prometheus")),
                f"--config.file={self._config}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._api = httpx.Client(
            base_url=f"http://{self._address()}/api/v1", timeout=PATIENCE_SECONDS, trust_env=False
        )
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.close()
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        self._log.close()

    def query(self, expression: str) -> Vector:
        """Returns what an expression is now, by the values of its labels in their names' order."""
        answer = self._api.get("/query", params={"query": expression})
        assert answer.status_code == 200, answer.text
        return {
            _labels(each["metric"]): float(each["value"][1])
            for each in answer.json()["data"]["result"]
        }

    def wait_for(self, expression: str, is_wanted: Callable[[Vector], bool]) -> Vector:
        """Asks until an expression is as wanted: Prometheus tells nobody when it has scraped."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_wanted(result := self.query(expression)):
            assert time.monotonic() < deadline, f"{expression} is {result}"
            time.sleep(SCRAPE_SECONDS / 2)
        return result

    def wait_for_value(self, expression: str, value: float) -> None:
        """Asks until an expression is one sample of this value."""
        self.wait_for(expression, lambda result: list(result.values()) == [value])

    def _address(self) -> str:
        assert self._process.stderr is not None
        self._log = self._process.stderr
        for line in self._log:
            if found := re.search(rb'msg="Listening on" address=(\S+)', line):
                return found[1].decode()
        raise AssertionError("Prometheus has not started")

    def _drain(self) -> None:
        for _ in self._log:
            pass


def _scrape(target: str) -> dict[str, Any]:
    interval = f"{SCRAPE_SECONDS * 1000:.0f}ms"
    job = {
        "job_name": "telefuser",
        "metrics_path": "/v1/service/metrics",
        "static_configs": [{"targets": [target]}],
    }
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [job],
    }


def _labels(metric: dict[str, str]) -> tuple[str, ...]:
    return tuple(metric[name] for name in sorted(metric.keys() - OF_EVERY_SERIES))
