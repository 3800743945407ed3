"""The check that a service makes of its pipeline file before it starts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from telefuser_grpc.validator.check import MAX_BYTES
from telefuser_grpc.validator.level import Level
from telefuser_grpc.validator.report import Finding, Report, Severity

SHOWN = 5
CHECK_SECONDS = 180.0
TITLE = "❌ Security validation failed:"

logger = structlog.get_logger()


class UnsafePipeline(Exception):
    """A file is not to be served; the message is what the operator reads."""


class ValidationFault(Exception):
    """The check itself went wrong, which says nothing about the file."""


def check_before_serving(
    path: Path,
    *,
    level: Level,
    max_bytes: int = MAX_BYTES,
    allow_unsafe: bool = False,
    strict_validation: bool = True,
) -> None:
    """Lets a file pass, or says why it is not to be served; blocks for about a second.

    The file is read in a process of its own, so that nothing in it can end or swell the service.

    Args:
        allow_unsafe: Lets a file with violations pass unless one is critical.
        strict_validation: Refuses a file also when the check itself goes wrong.

    Raises:
        UnsafePipeline
    """
    if level is Level.NONE:
        return
    try:
        report = _validate_apart(path, level=level, max_bytes=max_bytes)
    except ValidationFault as fault:
        _weigh_fault(path, fault, strict_validation=strict_validation)
    else:
        _weigh(path, report, allow_unsafe=allow_unsafe)


def _validate_apart(path: Path, *, level: Level, max_bytes: int) -> Report:
    # -P: a module that lies in the current folder must not stand in for one of ours
    program = [sys.executable, "-P", "-m", "telefuser_grpc.validator"]
    command = [*program, str(path), level, str(max_bytes)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHECK_SECONDS, check=True)
        return Report.parse(json.loads(done.stdout))
    except subprocess.TimeoutExpired as error:
        raise ValidationFault(f"it did not end within {CHECK_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        raise ValidationFault(f"its process ended with code {error.returncode}") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValidationFault("it gave no report") from error


def _weigh_fault(path: Path, fault: ValidationFault, *, strict_validation: bool) -> None:
    if strict_validation:
        lines = (TITLE, f"  The check itself failed: {fault}", *_hints(path))
        raise UnsafePipeline("\n".join(lines)) from fault
    logger.warning("pipeline file served unchecked", file=path.name, cause=str(fault))


def _weigh(path: Path, report: Report, *, allow_unsafe: bool) -> None:
    critical = [each for each in report.violations if each.severity is Severity.CRITICAL]
    others = [each for each in report.violations if each.severity is not Severity.CRITICAL]
    if critical or (others and not allow_unsafe):
        shown = [_line(each) for each in critical[:SHOWN] + others[:SHOWN]]
        raise UnsafePipeline("\n".join([TITLE, *shown, *_hints(path)]))
    if others:
        logger.warning("unsafe pipeline file let through", file=path.name, violations=len(others))


def _line(finding: Finding) -> str:
    place = f"Line {finding.line_number}: {finding.violation_type}"
    return f"  [{finding.severity.upper()}] {place}: {finding.description}"


def _hints(path: Path) -> Iterator[str]:
    yield f"Hint: telefuser validate {path} shows the whole report"
    yield "Hint: --skip-validation serves the file unchecked; do so only if you trust its author"
