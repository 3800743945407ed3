"""The OpenAI-compatible paths as they are documented, in either vocabulary of status words."""

import base64
from typing import Any

from tests.fakes.http_service import Answer, HttpService, Received

PICTURE = b"\x89PNG picture"
FILM = b"\0\0\0 ftyp film" * 10_000


class OpenAIService(HttpService):
    """Makes every image at once, and every video in a step for each time it is looked at.

    Attributes:
        course: The status of a new video, each time that it is retrieved; the last stays.
        failure: The `error` of a video that has failed.
        public_url: What URLs of images begin with.
        is_official: Whether a cancelled video is told of in the official words.
    """

    def __init__(self, *, is_official: bool = True) -> None:
        super().__init__()
        self.is_official = is_official
        self.course = ["in_progress" if is_official else "generating", "completed"]
        self.failure: Any = {"code": "internal", "message": "out of memory"}
        self.public_url = ""
        self.videos: dict[str, dict[str, Any]] = {}
        self._courses: dict[str, list[str]] = {}

    def answer(self, request: Received) -> Answer:
        """Answers as the document says; what is in `answers` goes first."""
        key = f"{request.method} {request.path}"
        if self.answers[key]:
            return super().answer(request)
        self.requests.append(request)
        match key.removeprefix(f"{request.method} /v1/").split("/"):
            case ["images", "generations"]:
                return self._images(request.json)
            case ["images", "edits"]:
                return self._images(request.form)
            case ["images", "one", "content"]:
                return Answer(PICTURE)
            case ["videos"] if request.method == "POST":
                return self._create(request)
            case ["videos"]:
                return self._list(request)
            case ["videos", name, *rest] if name in self.videos:
                return self._video(name, request.method, rest)
            case ["videos", name, *_]:
                return self._refusal(404, f"Video {name} not found")
        return Answer({"detail": "Not Found"}, status=404)

    def _images(self, fields: Any) -> Answer:
        inline = fields["response_format"] == "b64_json"
        image = {
            "b64_json": base64.b64encode(PICTURE).decode() if inline else None,
            "url": None if inline else f"{self.public_url or self.url}/v1/images/one/content",
            "revised_prompt": fields["prompt"],
        }
        body = {"created": 1699000000, "data": [image] * int(fields["n"])}
        return Answer(body | {"peak_memory_mb": 4096.5, "inference_time_s": 2.5})

    def _create(self, request: Received) -> Answer:
        is_json = request.headers["content-type"] == "application/json"
        fields: Any = request.json if is_json else request.form
        name = f"task_{len(self.videos) + 1}"
        self.videos[name] = {
            "id": name,
            "object": "video",
            "model": fields.get("model", "wan-video"),
            "status": "queued",
            "progress": 0,
            "created_at": 1699000000,
            "size": fields["size"],
            "seconds": str(fields["seconds"]),
            "quality": "standard",
            "url": None,
            "error": None,
        }
        self._courses[name] = list(self.course)
        return Answer(self.videos[name])

    def _list(self, request: Received) -> Answer:
        names = sorted(self.videos, reverse=request.query["order"] == "desc")
        if after := request.query.get("after"):
            names = names[names.index(after) + 1 :]
        page = names[: int(request.query["limit"])]
        body = {"object": "list", "data": [self.videos[name] for name in page]}
        more = {"has_more": len(names) > len(page), "first_id": page[0], "last_id": page[-1]}
        return Answer(body | more)

    def _video(self, name: str, method: str, rest: list[str]) -> Answer:
        video = self.videos[name]
        if rest == ["content"]:
            is_ready = video["status"] == "completed"
            return Answer(FILM) if is_ready else self._refusal(400, f"Video {name} is not ready")
        if method == "DELETE":
            return self._delete(video)
        course = self._courses[name]
        self._become(video, course.pop(0) if len(course) > 1 else course[0])
        return Answer(video)

    def _delete(self, video: dict[str, Any]) -> Answer:
        is_active = video["status"] not in ("completed", "failed", "cancelled")
        word = "cancelled" if is_active else "deleted"
        if is_active:
            self._courses[video["id"]] = ["cancelled"]
        if not self.is_official:
            return Answer({"id": video["id"], "object": "video", "status": word})
        about = {"object": "video.deleted", "deleted": True, "status": word}
        return Answer({"id": video["id"], **about})

    def _become(self, video: dict[str, Any], status: str) -> None:
        video["status"] = status
        if status == "failed":
            video["error"] = self.failure
        if status == "completed":
            video["url"] = f"{self.url}/v1/videos/{video['id']}/content"
            video |= {"progress": 100, "completed_at": 1699000100}
        if status == "cancelled" and self.is_official:
            error = {"code": "cancelled", "message": "Task cancelled by user"}
            video |= {"status": "failed", "telefuser_status": "cancelled", "error": error}

    def _refusal(self, status: int, message: str) -> Answer:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        return Answer({"error": error, "detail": message}, status=status)
