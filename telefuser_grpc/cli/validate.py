"""`telefuser validate`: lints one pipeline file."""

from pathlib import Path
from typing import Annotated

import typer

from telefuser_grpc.cli.options import SecurityLevel
from telefuser_grpc.cli.output import print_error

LevelOption = Annotated[
    SecurityLevel,
    typer.Option("--level", case_sensitive=False, help="How much is asked of a file."),
]


def validate(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The pipeline file."),
    ],
    level: LevelOption = SecurityLevel.STRICT,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, nothing else.")
    ] = False,
) -> None:
    """Look for dangerous code in a pipeline file.

    basic: dangerous calls and imports. strict: and no import that is not listed. sandbox: and it
    loads in a process without network and with little memory. It is a lint, not an isolation: a
    file that passes can still do harm.

    TELEFUSER_MAX_PPL_SIZE is the most bytes that a file may have, as for `serve`.

    Ends with 0 if the file is safe, 1 if it is not, 2 if there is no such file.
    """
    from telefuser_grpc.validator import Level, json_report, text_report, validate_file

    report = validate_file(file, level=Level(level), max_bytes=size_limit())
    print(json_report(report) if json_ else text_report(report))
    raise typer.Exit(0 if report.is_safe else 1)


def size_limit() -> int:
    """Returns the most bytes that a file may have by the settings; ends the command with 2."""
    from telefuser_grpc.config import ConfigError, load_settings

    try:
        return load_settings().max_ppl_size
    except ConfigError as error:
        print_error(str(error))
        raise typer.Exit(2) from None
