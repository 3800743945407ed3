"""What is shown of where an input came from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.domain.media_source import public_source


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("https://a.example/b/c.png", "https://a.example/b/c.png"),
        ("HTTP://a.example:8080/c.png", "http://a.example:8080/c.png"),
        ("https://user:key@a.example/c.png", "https://a.example/c.png"),
        ("https://user@b@a.example/c.png", "https://a.example/c.png"),
        ("https://a.example/c.png?signature=s", "https://a.example/c.png"),
        ("https://a.example/c.png#part", "https://a.example/c.png"),
    ],
)
def test_an_address_is_shown_without_credentials_query_and_fragment(
    reference: str, shown: str
) -> None:
    assert public_source(reference) == shown


@pytest.mark.parametrize(
    "reference",
    [
        "data:image/png;base64,AAAA",
        "iVBORw0KGgo",
        "upload:upload_a",
        "/srv/media/a.png",
        "ftp://a.example/a",
        "http://[nonsense/a.png",
        "",
        None,
        7,
    ],
)
def test_nothing_else_is_shown(reference: Any) -> None:
    assert public_source(reference) == ""


@given(st.text(alphabet="a:/@?#[]", max_size=30))
def test_no_secret_part_is_ever_shown(rest: str) -> None:
    shown = public_source(f"https://{rest}")

    assert not {"?", "#"} & set(shown)
    assert "@" not in shown.removeprefix("https://").partition("/")[0]
