"""What only callers of the OpenAI images are told."""

from telefuser_grpc.domain.task import TaskError
from telefuser_grpc.errors import InvalidRequest, NotFound, TaskFailed, Violation


class ImageNotFound(NotFound):
    """There is no such image: no task, none of the caller's, or one that makes something else."""

    reason = "NOT_FOUND"

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id} not found", metadata={"image_id": image_id})


class ImageNotReady(InvalidRequest):
    """An image has no file, or none yet."""

    reason = "IMAGE_NOT_READY"

    def __init__(self, image_id: str, status: str) -> None:
        super().__init__(f"Image {image_id} is not ready (status: {status})")


class ModelNotFound(NotFound):
    """Another pipeline is served than the one that is asked for."""

    reason = "MODEL_NOT_FOUND"

    def __init__(self, model: str) -> None:
        message = f"The model {model!r} does not exist; GET /v1/models lists what is served"
        super().__init__(message, violations=[Violation("model", message, "model_not_found")])


class PathNotFound(NotFound):
    """The interface is switched off."""

    reason = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Not Found")


class GenerationFailed(TaskFailed):
    """A task of the call has failed."""

    def __init__(self, error: TaskError) -> None:
        message = f"Generation failed: {error.message}"
        super().__init__(message, metadata={"reason": error.reason})


class GenerationCancelled(TaskFailed):
    """A task of the call was cancelled by somebody."""

    http_status = 400

    def __init__(self) -> None:
        super().__init__("Generation was cancelled", metadata={"reason": "CANCELLED"})


class GenerationTimeout(TaskFailed):
    """The call has taken too long, or a task of it."""

    http_status = 504

    def __init__(self, seconds: float | None = None) -> None:
        after = f" after {seconds:g} seconds" if seconds else ""
        super().__init__(f"Generation timeout{after}", metadata={"reason": "TIMEOUT"})
