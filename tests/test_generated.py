"""The generated code is what the protos say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
GENERATED = "telefuser_grpc/_gen"


def test_the_generated_code_is_fresh(tmp_path: Path) -> None:
    buf = Path(sys.executable).with_name("buf")
    environment = {"PATH": f"{buf.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    subprocess.run(
        [buf, "generate", "--output", tmp_path],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )

    assert contents(tmp_path / GENERATED) == contents(ROOT / GENERATED)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*.py*") if path.suffix in {".py", ".pyi"})
    return {str(path.relative_to(folder)): path.read_text() for path in files}
