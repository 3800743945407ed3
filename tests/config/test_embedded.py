"""The pipeline that is served when none is named."""

from telefuser_grpc.config import embedded_pipeline


def test_embedded_pipeline_is_there() -> None:
    assert "def get_pipeline" in embedded_pipeline().read_text()
