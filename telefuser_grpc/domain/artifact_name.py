"""The names under which callers know artifacts."""

import re

from telefuser_grpc.errors import AccessDenied, ArtifactNotFound

TASK_OUTPUT = re.compile(r"tasks/[A-Za-z0-9][A-Za-z0-9._~-]{0,144}/outputs/(videos|images)/.+")
OUTPUT_FOLDERS = ("outputs/videos/", "outputs/images/", "outputs/")


def parse_artifact_name(name: str, *, root: str = "") -> str:
    """Returns an artifact's path below the store's root, or a name below some task's outputs.

    Takes `local:tasks/<id>/outputs/<videos|images>/<file>`, the same without `local:`, a path
    below `outputs/`, a bare name, and, with a root, the absolute path of one of these; also
    without its first slash, which gateways merge away.

    Raises:
        AccessDenied: The name leads out of the outputs.
        ArtifactNotFound: The name is empty.
    """
    path = name.removeprefix("local:")
    if not path:
        raise ArtifactNotFound(name)
    inner = _below(root, path) if root else None
    if is_outside(path if inner is None else inner):
        raise AccessDenied
    if inner is not None and not inner.startswith(("tasks/", "outputs/")):
        raise AccessDenied
    return _named("/".join(part for part in (inner or path).split("/") if part))


def _below(root: str, path: str) -> str | None:
    whole = "/" + path.lstrip("/")
    start = f"{root.rstrip('/')}/"
    return whole.removeprefix(start) if whole.startswith(start) else None


def _named(path: str) -> str:
    if path.startswith("tasks/"):
        if not TASK_OUTPUT.fullmatch(path):
            raise AccessDenied
        return path
    for folder in OUTPUT_FOLDERS:
        if path.startswith(folder):
            return path.removeprefix(folder)
    return path


def is_outside(path: str) -> bool:
    """Tells whether a path is absolute, climbs, or has characters that no name has."""
    parts = path.split("/")
    return path.startswith("/") or ".." in parts or "." in parts or bool(re.search(r"[\\\0]", path))
