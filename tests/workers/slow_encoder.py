"""A replica whose encoder waits until somebody writes to the FIFO that the job's `gate` names."""

from collections.abc import Sequence
from pathlib import Path

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.workers import main


def encode(rendering: Rendering, job: Job) -> Sequence[OutputFile]:
    if gate := job.fields.get("gate"):
        Path(gate).read_bytes()
    return ()


main.encode = encode
main.main()
