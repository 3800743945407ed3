"""A replica whose encoder waits until the file that the job's `gate` names is not locked.

Before that it writes to the FIFO that `arrival` names, if the job has one.
"""

import fcntl
from collections.abc import Sequence
from pathlib import Path

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.replica import main
from telefuser_grpc.workers import main as process


def encode(rendering: Rendering, job: Job) -> Sequence[OutputFile]:
    if arrival := job.fields.get("arrival"):
        Path(arrival).write_text("here")
    if gate := job.fields.get("gate"):
        with Path(gate).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    return ()


vars(process)["encode"] = encode
main()
