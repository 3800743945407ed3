"""Settings: the documented variables, and the `.env` file."""

from pathlib import Path

import httpx
import pytest

from telefuser_grpc.config import load
from tests.documents.samples import sample
from tests.documents.serving import Served, lay_out

VARIABLES = {
    "TELEFUSER_SECURITY_LEVEL": ("security_level", "STRICT", "BASIC"),
    "TELEFUSER_ALLOW_UNSAFE": ("allow_unsafe", False, True),
    "TELEFUSER_MAX_PPL_SIZE": ("max_ppl_size", 10485760, 4096),
    "TELEFUSER_TASK_TIMEOUT": ("task_timeout", 3600, 60),
    "TELEFUSER_HOST": ("host", "127.0.0.1", "0.0.0.0"),
    "TELEFUSER_PORT": ("port", 8000, 8080),
    "TELEFUSER_RATE_LIMIT_ENABLED": ("rate_limit_enabled", True, False),
    "TELEFUSER_RATE_LIMIT_RPM": ("rate_limit_rpm", 60, 100),
    "TELEFUSER_MAX_QUEUE_SIZE": ("max_queue_size", 10, 500),
    "TELEFUSER_RATE_LIMIT_REQUESTS_PER_MINUTE": ("rate_limit_rpm", 60, 10000),
}


@pytest.mark.parametrize(("variable", "said"), VARIABLES.items())
def test_variable_has_the_documented_default_and_effect(
    variable: str, said: tuple[str, object, object], tmp_path: Path
) -> None:
    field, default, other = said

    loads = [
        load(environment=each, folder=tmp_path) for each in ({}, {variable: str(other).lower()})
    ]

    assert [getattr(each.settings, field) for each in loads] == [default, other]
    assert [each.origins[field] for each in loads] == ["default", variable]


def test_limit_for_load_tests_reaches_the_gateway(http: httpx.Client) -> None:
    answer = http.post("/v1/tasks/create", json={})

    limit = sample("load-test-limit").partition("=")[2]
    assert answer.headers["x-ratelimit-limit"] == limit


def test_env_file_is_read(tmp_path: Path) -> None:
    served = Served("telefuser serve ./pipeline.py", lay_out(tmp_path), tells_port=False)
    (tmp_path / ".env").write_text(served.at_own_port(sample("env-file")))

    with served, served.http() as http:
        metadata = http.get("/v1/service/metadata").json()
        limited = http.post("/v1/tasks/create", json={})
        elsewhere = httpx.get(f"http://127.0.0.2:{served.port}/v1/service/health", trust_env=False)

    assert metadata["security_level"] == "STRICT"
    assert limited.headers["x-ratelimit-limit"] == "100"
    assert elsewhere.status_code == 200
