"""What callers of the OpenAI API are told of a file."""

from typing import Any

from telefuser_grpc.domain.artifact import Artifact


def artifact_metadata(artifact: Artifact) -> dict[str, Any]:
    """Writes a file with the documented keys; its path is below the service's folder."""
    created = artifact.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "artifact_id": artifact.id,
        "backend": "local",
        "relative_path": artifact.path,
        "task_id": artifact.task_id,
        "media_type": artifact.facts.content_type,
        "filename": artifact.filename,
        "size_bytes": artifact.size_bytes,
        "created_at": created,
        "modified_at": created,
    }
