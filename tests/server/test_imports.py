"""What the server process leaves to others: its memory is tight."""

import subprocess
import sys

HEAVY = ("torch", "diffusers", "transformers", "numpy", "av", "PIL", "opentelemetry.sdk")


def test_server_process_loads_nothing_heavy_at_start() -> None:
    program = f"""
import sys
import telefuser_grpc.app
print([name for name in {HEAVY!r} if name in sys.modules])
"""

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")
