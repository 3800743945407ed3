"""The names of artifacts: what each stands for, and which lead out of the outputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.domain.artifact_name import parse_artifact_name
from telefuser_grpc.errors import AccessDenied, ArtifactNotFound

ROOT = "/srv/cache"
FILE = "tasks/t1/outputs/videos/t1.mp4"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (f"local:{FILE}", FILE),
        (FILE, FILE),
        ("tasks/t1/outputs/images/a/b.png", "tasks/t1/outputs/images/a/b.png"),
        ("outputs/videos/a.mp4", "a.mp4"),
        ("outputs/images/a/b.png", "a/b.png"),
        ("outputs/a.mp4", "a.mp4"),
        ("t1.mp4", "t1.mp4"),
        ("a/b.mp4", "a/b.mp4"),
        ("outputs//a//b.mp4/", "a/b.mp4"),
        (f"{ROOT}/{FILE}", FILE),
        (f"{ROOT[1:]}/{FILE}", FILE),
        (f"/{ROOT}/{FILE}", FILE),
        (f"{ROOT}/outputs/videos/a.mp4", "a.mp4"),
        ("srv/cache.mp4", "srv/cache.mp4"),
    ],
)
def test_every_documented_form_of_a_name_is_read(name: str, path: str) -> None:
    assert parse_artifact_name(name, root=ROOT) == path


@pytest.mark.parametrize(
    "name",
    [
        "../a.mp4",
        "a/../../b.mp4",
        "./a.mp4",
        "/etc/passwd",
        "a\\b.mp4",
        "a\0.mp4",
        "tasks/t1/inputs/a.png",
        "tasks/t1/tmp/1/a.mp4",
        "tasks/t1/outputs/other/a.mp4",
        "tasks/../x",
        f"{ROOT}/tasks.db",
        f"{ROOT}/tasks/t1/inputs/a.png",
        f"{ROOT}/../etc/passwd",
        f"{ROOT}/outputs/../tasks.db",
        f"{ROOT}2/{FILE}",
    ],
)
def test_a_name_that_leads_out_of_the_outputs_is_denied(name: str) -> None:
    with pytest.raises(AccessDenied):
        parse_artifact_name(name, root=ROOT)


def test_an_absolute_path_means_nothing_without_a_root() -> None:
    with pytest.raises(AccessDenied):
        parse_artifact_name(f"{ROOT}/{FILE}")


@pytest.mark.parametrize("name", ["", "local:"])
def test_no_name_is_no_file(name: str) -> None:
    with pytest.raises(ArtifactNotFound):
        parse_artifact_name(name)


@given(
    st.lists(st.sampled_from(["..", ".", "", "tasks", "t1", "outputs", "videos", "srv", "cache"]))
)
def test_what_is_read_never_climbs(parts: list[str]) -> None:
    try:
        path = parse_artifact_name("/".join(parts), root=ROOT)
    except (AccessDenied, ArtifactNotFound):
        return

    assert not path.startswith("/")
    assert ".." not in path.split("/")
