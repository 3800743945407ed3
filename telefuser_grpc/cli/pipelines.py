"""`telefuser pipelines`: what can be served without writing a file."""

from pathlib import Path
from typing import Annotated

import typer


def pipelines(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Another folder of pipeline files.",
            show_default="those that come with the package",
        ),
    ] = None,
    table: Annotated[
        bool,
        typer.Option("--table", help="Print all that the files declare, as a Markdown table."),
    ] = False,
) -> None:
    """List the pipeline files, each of which `telefuser serve` knows by its name.

    A table takes some seconds: the files are imported, with the libraries that they need.
    """
    from telefuser_grpc.config import pipelines_folder
    from telefuser_grpc.pipeline.catalogue import (
        as_markdown,
        pipeline_files,
        read_entry,
        summary_of,
    )

    paths = pipeline_files(folder or pipelines_folder())
    if table:
        print(as_markdown(map(read_entry, paths)), end="")
        return
    width = max((len(path.stem) for path in paths), default=0)
    for path in paths:
        print(f"{path.stem:{width}}  {summary_of(path)}")
