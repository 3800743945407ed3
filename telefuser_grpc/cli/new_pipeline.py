"""`telefuser new-pipeline`: writes a pipeline file for a diffusers model."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telefuser_grpc.cli.output import fail, print_error

if TYPE_CHECKING:  # the other commands need not load it
    from telefuser_grpc.pipeline.drafting import Draft

ADDRESS = "http://127.0.0.1:8000"
WORDS = "a cat surfs a wave at sunset"
FILES = {
    "i2v": ("first_image_file=@picture.png",),
    "i2i": ("first_image_file=@picture.png",),
    "fl2v": ("first_image_file=@first.png", "last_image_file=@last.png"),
    "vc": ("ref_video_file=@clip.mp4",),
    "vsr": ("ref_video_file=@clip.mp4",),
}


def new_pipeline(
    model_dir: Annotated[
        Path,
        typer.Argument(metavar="MODEL_DIR", help="A diffusers directory, with model_index.json."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write.",
            show_default="the model's name, here",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
) -> None:
    """Write a pipeline file for a diffusers model, to serve as it is or to change.

    The model's class and the settings of its parts tell which tasks it makes, what they need, and
    which sizes and lengths it can do. Its weights are not read.

    Ends with 0 if the file is written, 1 if there is none to write for this model, 2 if FILE is
    there already.
    """
    if output is not None:
        _refuse_to_overwrite(output, force=force)
    print("reading the model's class from diffusers: some seconds", file=sys.stderr, flush=True)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it tells of what is not needed here
    from telefuser_grpc.pipeline.drafting import CannotDraft, draft

    try:
        drafted = draft(model_dir)
    except CannotDraft as error:
        fail(str(error))
    path = output or Path(f"{drafted.name}.py")
    _refuse_to_overwrite(path, force=force)
    path.write_text(drafted.source)
    print(_next_steps(path, drafted))


def _refuse_to_overwrite(path: Path, *, force: bool) -> None:
    if path.is_dir():
        print_error(f"{str(path)!r} is a folder; name a file in it with -o")
        raise typer.Exit(2)
    if path.exists() and not force:
        print_error(f"{str(path)!r} is there already; name another with -o, or add --force")
        raise typer.Exit(2)


def _next_steps(path: Path, drafted: "Draft") -> str:
    return "\n".join(
        [
            f"wrote {path}: {drafted.class_name}, for {', '.join(drafted.kinds)}",
            "",
            "serve it:",
            f"  telefuser serve {shlex.quote(str(path))}",
            "and when it says that the pipeline is loaded, ask for a task:",
            f"  {_request(drafted.kinds[0])}",
        ]
    )


def _request(kind: str) -> str:
    if files := FILES.get(kind):
        fields = (f"task={kind}", f"prompt={WORDS}", *files)
        form = " ".join(f"-F {shlex.quote(field)}" for field in fields)
        return f"curl {ADDRESS}/v1/tasks/form {form}"
    body = f'{{"task": "{kind}", "prompt": "{WORDS}"}}'
    return (
        f"curl {ADDRESS}/v1/tasks/create -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )
