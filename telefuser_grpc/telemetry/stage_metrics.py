"""What is counted and measured of the stages that pipelines name."""

import re

from prometheus_client import CollectorRegistry, Counter, Histogram

from telefuser_grpc.telemetry.buckets import TASK_SECONDS

STAGES_LIMIT = 32  # pipelines choose the names; a pipeline with endless names must not fill memory
_OWN_SUFFIXES = ("_errors", "_total", "_created", "_seconds", "_bucket", "_sum", "_count")


class StageMetrics:
    """The metrics of each stage, which have its name in theirs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._stages: dict[str, _Stage] = {}

    @property
    def names(self) -> list[str]:
        """The stages that were measured."""
        return sorted(self._stages)

    def observe(self, name: str, seconds: float, *, is_failed: bool = False) -> None:
        """Counts and measures a run of a stage; a name that Prometheus cannot take is left out."""
        if stage := self._stage(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")):
            stage.observe(seconds, is_failed=is_failed)

    def _stage(self, name: str) -> "_Stage | None":
        has_room = len(self._stages) < STAGES_LIMIT
        if has_room and name and name not in self._stages and not _clashes(name):
            self._stages[name] = _Stage(name, self._registry)
        return self._stages.get(name)


class _Stage:
    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        prefix = f"telefuser_stage_{name}"
        self._runs = Counter(prefix, f"Total number of runs of stage {name}", registry=registry)
        self._errors = Counter(
            f"{prefix}_errors", f"Total number of errors in stage {name}", registry=registry
        )
        self._duration = Histogram(
            f"{prefix}_duration_seconds",
            f"Duration of stage {name} in seconds",
            buckets=TASK_SECONDS,
            registry=registry,
        )

    def observe(self, seconds: float, *, is_failed: bool) -> None:
        self._runs.inc()
        self._duration.observe(seconds)
        if is_failed:
            self._errors.inc()


def _clashes(name: str) -> bool:
    return f"_{name}".endswith(_OWN_SUFFIXES)
