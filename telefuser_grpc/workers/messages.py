"""What the server and a replica tell each other.

    server to replica   when
    Load                once, first of all
    RunJob, RunBatch    while no other job denoises; earlier ones may still be encoded
    Cancel              the attempt shall stop at its next step, or at once where the pipeline works
                        on for others of its batch; too late is no error
    Ping                any time; asks for a sign of life
    Shutdown            nothing more will come: end what is begun, then exit

    replica to server   when
    Ready               the pipeline is loaded
    LoadFailed          it could not be; the replica exits
    Pong                after a Ping, at once, whatever else it does
    Stepped, Previewed  any time between the order and the end of the denoising
    Rendered            the frames are made: when those of a whole batch are, another order may
                        come while they are encoded
    Finished            after Rendered: the files are made and were decoded to prove it
    Failed              instead of Rendered or Finished
    Stopped             instead of Rendered or Finished, after Cancel

Every attempt ends with exactly one of Finished, Failed and Stopped, or with the end of file, which
is the other side's death.
"""

import msgspec

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.pipeline.options import ModelOptions


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load this pipeline file, and serve it as `task` where it declares no contract.

    With `warmup`, one run with the contract's defaults comes before `Ready`.
    """

    pipeline: str
    task: str | None
    parallelism: int
    preview_interval_seconds: float
    warmup: bool = False
    options: ModelOptions = ModelOptions()


class RunJob(msgspec.Struct, frozen=True, tag=True):
    """Run this job."""

    job: Job


class RunBatch(msgspec.Struct, frozen=True, tag=True):
    """Run these jobs together, or one by one where that fails. Each is an attempt of its own."""

    jobs: tuple[Job, ...]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Stop this attempt."""

    task_id: str
    attempt: int


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Tell that you are there."""


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """Exit when nothing is left to do."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The pipeline is loaded and declares this contract."""

    contract: PipelineContract


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """The pipeline cannot be loaded, for a reason that people may read."""

    message: str


class Pong(msgspec.Struct, frozen=True, tag=True):
    """Here I am."""


class Stepped(msgspec.Struct, frozen=True, tag=True):
    """An attempt has come further."""

    task_id: str
    attempt: int
    progress: Progress


class Previewed(msgspec.Struct, frozen=True, tag=True):
    """An attempt looks like this so far."""

    task_id: str
    attempt: int
    preview: Preview


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """An attempt has made its frames."""

    task_id: str
    attempt: int
    report: RunReport


class Finished(msgspec.Struct, frozen=True, tag=True):
    """An attempt has made its files."""

    task_id: str
    attempt: int
    files: tuple[OutputFile, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An attempt has failed; where the device is lost with it, the replica exits."""

    task_id: str
    attempt: int
    reason: str
    message: str
    is_device_lost: bool = False


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """An attempt was cancelled and is no longer worked on."""

    task_id: str
    attempt: int


FromServer = Load | RunJob | RunBatch | Cancel | Ping | Shutdown
AboutRun = Stepped | Previewed | Rendered | Finished | Failed | Stopped
FromReplica = Ready | LoadFailed | Pong | AboutRun
