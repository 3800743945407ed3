"""The bodies of answers about the service itself."""

from typing import Any, Literal

from pydantic import Field

from telefuser_grpc.server.openapi.schemas import Described
from telefuser_grpc.server.openapi.task_bodies import FILM

ExecutionMode = Literal["serial_single_pipeline", "concurrent_pipeline_pool"]


class Health(Described):
    """Whether the service lives, and whether tasks would run."""

    status: Literal["healthy", "ready", "not_ready"] = Field(
        description="`healthy` from `/health`; `ready` or `not_ready` from `/ready`."
    )
    timestamp: str = Field(
        description="The server's clock, RFC 3339.", examples=["2026-11-22T08:30:00Z"]
    )
    version: str = Field(description="The version of this interface.", examples=["1.0.0"])
    pipeline_ready: bool = Field(description="Whether a pipeline is loaded and a replica lives.")
    ready: bool = Field(description="The same.")


class ReplicaView(Described):
    """One process with one loaded pipeline on its own devices."""

    id: int = Field(description="Its number.", ge=0, examples=[0])
    device_ids: list[str] = Field(description="Its devices; empty on the CPU.", examples=[["0"]])
    status: Literal["idle", "busy", "dead"] = Field(
        description="What it does; one that starts counts as dead."
    )
    state: Literal["starting", "idle", "busy", "dead"] = Field(description="What it does.")
    task_id: str | None = Field(
        description="The task that it runs, the first of several.", examples=[FILM]
    )
    task_ids: list[str] = Field(
        description="The tasks that it runs: several where they are made together.",
        examples=[[FILM]],
    )
    restarts: int = Field(description="How often it was started again.", ge=0, examples=[0])
    pid: int | None = Field(description="Its process.", examples=[4711])
    last_error: str | None = Field(description="Why it last died.")


class ServiceStatus(Described):
    """Counts of tasks, and the state of every replica."""

    service_status: Literal["idle", "busy"] = Field(description="Whether a task runs.")
    current_task: str | None = Field(description="The task that has run longest.", examples=[FILM])
    current_tasks: list[str] = Field(description="The tasks that run.", examples=[[FILM]])
    processing_count: int = Field(description="How many run.", ge=0, examples=[1])
    max_concurrent_processing: int = Field(
        description="How many can run now: replicas that live.", ge=0, examples=[1]
    )
    active_tasks: list[str] = Field(description="The tasks that run.", examples=[[FILM]])
    pending_tasks: int = Field(description="How many wait.", ge=0, examples=[0])
    queue_size: int = Field(
        description="The most tasks that may wait and run together.", ge=1, examples=[10]
    )
    total_tasks: int = Field(description="Stored tasks of any state.", ge=0, examples=[4])
    completed_tasks: int = Field(description="Those with a result.", ge=0, examples=[2])
    failed_tasks: int = Field(description="Those that failed.", ge=0, examples=[1])
    cancelled_tasks: int = Field(description="Those that were cancelled.", ge=0, examples=[0])
    effective_max_concurrent_tasks: int = Field(
        description="How many can run now.", ge=0, examples=[1]
    )
    configured_max_concurrent_tasks: int = Field(
        description="How many could run if every replica lived.", ge=1, examples=[1]
    )
    execution_mode: ExecutionMode = Field(description="One replica, or a pool of them.")
    pool: list[ReplicaView] = Field(description="Every replica.")


class ContractParameter(Described):
    """A parameter of a kind of task."""

    type: Literal["string", "integer", "number", "boolean", "array", "object"] = Field(
        description="The type of its values."
    )
    required: bool = Field(description="Whether a request must give it.")
    default: Any = Field(description="What it is when not given; null for nothing.")
    description: str = Field(description="What it does.", examples=["What to show"])
    enum: list[Any] = Field(description="Its only values; empty when any will do.")
    exposed: bool = Field(description="Always true: others are not shown.")
    minimum: float = Field(0, description="The least value.")
    maximum: float = Field(0, description="The greatest value.")
    min_length: int = Field(0, description="The least length.")
    max_length: int = Field(0, description="The greatest length.")
    pattern: str = Field("", description="What a text must match.")
    unit: str = Field("", description="What a number counts.", examples=["seconds"])


class ContractBatch(Described):
    """Which tasks of a kind are made together where that is faster."""

    keys: list[str] = Field(
        description="The parameters whose values are equal in them.", examples=[["resolution"]]
    )
    max_size: int = Field(description="The most tasks together.", ge=1, examples=[4])


class ContractTask(Described):
    """What a kind of task makes of what."""

    media_type: Literal["video", "image", "none"] = Field(description="What it makes.")
    required_inputs: list[str] = Field(
        description="Files that it needs.", examples=[["first_image_path"]]
    )
    optional_inputs: list[str] = Field(
        description="Files that it can use.", examples=[["last_image_path"]]
    )
    parameters: dict[str, ContractParameter] = Field(
        description="Its parameters, in the order of a form."
    )
    batch: ContractBatch | None = Field(
        None, description="Which are made together; absent where each is made alone."
    )


class PoolView(Described):
    """The replicas, when there are several."""

    num_replicas: int = Field(description="Replicas that are configured.", ge=1, examples=[2])
    live_replicas: int = Field(description="Those that live.", ge=0, examples=[2])
    replica_device_ids: list[list[str]] = Field(
        description="The devices of each.", examples=[[["0"], ["1"]]]
    )
    per_instance_execution_mode: str = Field(
        description="How one replica works.", examples=["serial_single_pipeline"]
    )


class Metadata(Described):
    """The contract of the loaded pipeline, and how it is run."""

    pipeline_file: str = Field(
        description="The pipeline's file, as it was named.", examples=["moving_shapes.py"]
    )
    parallelism: int = Field(description="Devices of one replica.", ge=1, examples=[1])
    task: str = Field(description="The kind of task when nothing tells another.", examples=["t2v"])
    security_level: str = Field(description="How strictly files are checked.", examples=["STRICT"])
    runner: str = Field(description="What runs the pipeline.", examples=["PipelineRunner"])
    declared_pipeline_contract: bool = Field(description="Whether the file declares a contract.")
    contract_version: str = Field(description="The contract's version.", examples=["v1"])
    pipeline_name: str = Field(description="The pipeline's name.", examples=["moving_shapes"])
    supported_tasks: list[str] = Field(
        description="Kinds of task, the preferred first.", examples=[["t2v", "i2v"]]
    )
    supported_media_types: list[str] = Field(
        description="What it makes.", examples=[["video", "image"]]
    )
    execution_mode: ExecutionMode = Field(description="One replica, or a pool of them.")
    effective_max_concurrent_tasks: int = Field(
        description="How many tasks can run now.", ge=0, examples=[1]
    )
    entrypoints: dict[str, str] = Field(
        description="The names of the file's functions.",
        examples=[{"get_pipeline": "get_pipeline", "run_with_file": "run_with_file"}],
    )
    task_contracts: dict[str, ContractTask] = Field(description="The contract of each kind.")
    service_effective_max_concurrent_tasks: int = Field(
        description="Replicas that are configured.", ge=1, examples=[1]
    )
    service_configured_max_concurrent_tasks: int = Field(
        description="The same.", ge=1, examples=[1]
    )
    max_queue_size: int = Field(
        description="The most tasks that may wait and run together.", ge=1, examples=[10]
    )
    pool: PoolView = Field(
        default_factory=PoolView.model_construct, description="Only with several replicas."
    )


class TaskCounts(Described):
    """Tasks since the server started."""

    created: int = Field(description="Admitted.", ge=0, examples=[100])
    completed: int = Field(description="Ended with a result.", ge=0, examples=[95])
    failed: int = Field(description="Failed.", ge=0, examples=[3])
    cancelled: int = Field(description="Cancelled.", ge=0, examples=[2])


class QueueCounts(Described):
    """The queue now."""

    size: int = Field(description="Tasks in the queue.", ge=0, examples=[6])
    pending: int = Field(description="Those that wait.", ge=0, examples=[5])
    processing: int = Field(description="Those that run.", ge=0, examples=[1])


class MetricsSummary(Described):
    """The main metrics."""

    uptime_seconds: float = Field(description="Since the start.", ge=0, examples=[3600])
    tasks: TaskCounts = Field(description="How many tasks there were.")
    queue: QueueCounts = Field(description="How many tasks there are.")
    metrics_count: int = Field(
        description="Metrics on the page for Prometheus.", ge=0, examples=[25]
    )
    registered_stages: list[str] = Field(
        description="Stages of the pipeline that were measured.", examples=[["denoise"]]
    )
