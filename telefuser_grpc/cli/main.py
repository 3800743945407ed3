"""The command line: `telefuser serve` runs a service, the other verbs use one."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from telefuser_grpc import __version__
from telefuser_grpc.cli.config import config
from telefuser_grpc.cli.demo import demo
from telefuser_grpc.cli.gateway import app as gateway
from telefuser_grpc.cli.new_pipeline import new_pipeline
from telefuser_grpc.cli.output import print_error
from telefuser_grpc.cli.pipelines import pipelines
from telefuser_grpc.cli.scan import scan
from telefuser_grpc.cli.serve import serve
from telefuser_grpc.cli.stream_serve import stream_serve
from telefuser_grpc.cli.tasks import (
    cancel,
    download,
    get,
    list_tasks,
    queue,
    submit,
    watch,
)
from telefuser_grpc.cli.validate import validate
from telefuser_grpc.errors import TeleFuserError

SERVING = "Serve"
USING = "Use a running service"

EXAMPLES = """[bold]Examples[/bold]
  telefuser demo                                see it work, on any machine
  telefuser serve                               serve the small embedded model
  telefuser serve my_pipeline.py -p 8000 -g 2   serve a pipeline file on two GPUs
  telefuser stream-serve stream_moving_shapes   walk through it in a browser
  telefuser submit "a red circle" -o red.mp4    make a video and watch every step"""

app = typer.Typer(
    name="telefuser",
    help="Serves diffusion pipelines (video and image) over gRPC and REST, and uses them.",
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 misused, 130 interrupted."""
    try:
        app(arguments, prog_name="telefuser")
    except TeleFuserError as error:
        print_error(error.message, error.violations)
        sys.exit(1)
    except OSError as error:
        print_error(_sentence(error))
        sys.exit(1)


def _sentence(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"telefuser {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


app.command(rich_help_panel=SERVING)(demo)
app.command(rich_help_panel=SERVING)(serve)
app.command(rich_help_panel=SERVING)(stream_serve)
app.command(rich_help_panel=SERVING)(pipelines)
app.command(rich_help_panel=SERVING)(new_pipeline)
app.command(rich_help_panel=SERVING)(validate)
app.command(rich_help_panel=SERVING)(scan)
app.command(rich_help_panel=SERVING)(config)
app.add_typer(gateway, rich_help_panel=SERVING)
app.command(rich_help_panel=USING)(submit)
app.command(rich_help_panel=USING)(watch)
app.command(rich_help_panel=USING)(get)
app.command("list", rich_help_panel=USING)(list_tasks)
app.command(rich_help_panel=USING)(cancel)
app.command(rich_help_panel=USING)(download)
app.command(rich_help_panel=USING)(queue)

if __name__ == "__main__":
    main()
