"""A replica's lines go where those of its server go."""

from pathlib import Path

import pytest

from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.workers.process import COMMAND
from tests.workers.local_pool import local_pool, make_job


async def fail_a_run(telemetry: ReplicaTelemetry) -> int:
    """Lets a replica log that a run has failed, and returns its process id."""
    async with local_pool("unruly", command=(*COMMAND, telemetry.argument)) as pool:
        async with pool.lease() as replica:
            run = await replica.run(make_job(prompt="litter"))
            with pytest.raises(PipelineFailed):
                await run.result()
        return replica.pid


@pytest.mark.parametrize(("sink", "on_console"), [("file", 0), ("both", 1)])
async def test_line_of_a_replica_is_in_the_file_of_its_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], sink: str, on_console: int
) -> None:
    file = tmp_path / "server.log"
    file.write_text("a line of the server\n")

    pid = await fail_a_run(ReplicaTelemetry(log_format="json", log_sink=sink, log_file=str(file)))

    first, line = file.read_text().splitlines()
    assert first == "a line of the server"
    assert f'"replica_pid": {pid}' in line
    assert capfd.readouterr().err.count("run failed") == on_console
