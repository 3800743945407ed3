"""Files larger than anybody would keep in memory, up and down every way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from telefuser_grpc.client import Client
from tests.abuse.conftest import make, write_clip
from tests.abuse.exact_pipeline import TICKET
from tests.abuse.usage import forget_peaks, usage
from tests.fakes.media_files import mp4, still
from tests.fakes.service import Service

MEBIBYTE = 2**20
SIZE = 192 * MEBIBYTE
GROWTH_MEBIBYTES = (
    64  # of the server and of Envoy each, at their peaks; the file is three times that
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large film."""
    path = tmp_path_factory.mktemp("large") / "clip.mp4"
    write_clip(path, SIZE)
    return path


@pytest.fixture(scope="module")
def client(service: Service, clip: Path) -> Iterator[Client]:
    with service.client() as client:
        client.upload(mp4())  # loads the decoder
        yield client


@contextmanager
def memory_stays(service: Service) -> Iterator[None]:
    before = usage(service)
    forget_peaks(service)
    yield
    for name, now in usage(service).items():
        assert now.peak - before[name].resident < GROWTH_MEBIBYTES, (name, before, now)


def test_native_upload_is_not_kept_in_memory(service: Service, client: Client, clip: Path) -> None:
    with memory_stays(service):
        upload = client.upload(clip)

    assert upload.size_bytes == SIZE
    assert upload.facts.content_type == "video/mp4"


def test_file_of_a_form_is_not_kept_in_memory(service: Service, client: Client, clip: Path) -> None:
    with memory_stays(service), service.http() as http, clip.open("rb") as film:
        answer = http.post(
            "/v1/tasks/form",
            data={"task": "i2v", "prompt": "p", "ticket": TICKET},
            files={"first_image_file": still(), "ref_video_file": film},
        )

    assert answer.status_code == 200, answer.text
    inputs = service.cache / "tasks" / answer.json()["task_id"] / "inputs"
    assert sorted(path.stat().st_size for path in inputs.iterdir()) == [len(still()), SIZE]


@pytest.mark.parametrize("name", ["sent by the gateway.mp4", "sent by the server?.mp4"])
def test_download_is_not_kept_in_memory(service: Service, clip: Path, name: str) -> None:
    task_id = f"large-{name.count('?')}"
    assert (
        make(service, task="file", task_id=task_id, clip=str(clip), output_path=name) == "completed"
    )

    with memory_stays(service), service.http() as http:
        size = sum(map(len, download(http, name)))

    assert size == SIZE


def download(http: httpx.Client, name: str) -> Iterator[bytes]:
    with http.stream("GET", f"/v1/files/download/{name.replace('?', '%3F')}") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(SIZE)
        yield from answer.iter_bytes(MEBIBYTE)


def test_native_download_goes_on_where_it_broke_off(
    service: Service, client: Client, clip: Path, tmp_path: Path
) -> None:
    make(service, task="file", task_id="resumed", clip=str(clip))
    (artifact,) = client.get("resumed").artifacts
    offsets: list[int] = []

    def break_off(offset: int, size: int) -> None:
        offsets.append(offset)
        if offset > size // 2:
            raise KeyboardInterrupt

    with memory_stays(service):
        with pytest.raises(KeyboardInterrupt):
            client.download(artifact.id, tmp_path / "film.mp4", progress=break_off)
        broken_off_at = offsets[-1]
        offsets.clear()
        whole = client.download(
            artifact.id, tmp_path / "film.mp4", progress=lambda offset, _: offsets.append(offset)
        )

    assert SIZE // 2 < broken_off_at <= min(offsets)
    assert whole.stat().st_size == SIZE
