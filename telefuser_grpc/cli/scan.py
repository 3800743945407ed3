"""`telefuser scan`: lints every pipeline file of a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telefuser_grpc.cli.options import SecurityLevel
from telefuser_grpc.cli.validate import LevelOption, size_limit

if TYPE_CHECKING:  # the commands that do not lint need not load it
    from telefuser_grpc.validator import Report

RULE = "=" * 60
SHOWN = 3


def scan(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder."),
    ],
    level: LevelOption = SecurityLevel.STRICT,
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Look into folders of it, too.")
    ] = True,
) -> None:
    """Look for dangerous code in every Python file of a folder.

    It is a lint, not an isolation: a file that passes can still do harm.
    TELEFUSER_MAX_PPL_SIZE is the most bytes that a file may have, as for `serve`.

    Ends with 0 if all files are safe, 1 if one is not, 2 if there is no such folder.
    """
    from telefuser_grpc.validator import Level, validate_file

    paths = sorted(directory.glob("**/*.py" if recursive else "*.py"))
    paths = [path for path in paths if path.is_file()]
    if not paths:
        print(f"No Python files found in {directory}")
        raise typer.Exit(0)
    max_bytes = size_limit()
    print(f"Scanning {len(paths)} Python files...", RULE, sep="\n")
    unsafe = []
    for path in paths:
        report = validate_file(path, level=Level(level), max_bytes=max_bytes, folder=directory)
        name = path.relative_to(directory)
        print(f"✓ SAFE: {name}" if report.is_safe else f"✗ UNSAFE: {name}", flush=True)
        unsafe += [] if report.is_safe else [report]
    print(RULE, f"Summary: {len(paths) - len(unsafe)}/{len(paths)} files are safe", sep="\n")
    _print_unsafe(unsafe)
    raise typer.Exit(1 if unsafe else 0)


def _print_unsafe(reports: Sequence["Report"]) -> None:
    if not reports:
        return
    print(f"{len(reports)} unsafe files found:")
    for report in reports:
        print(report.file)
        for each in report.violations[:SHOWN]:
            print(f"  Line {each.line_number}: {each.description}")
