"""Runs the conformance tests with all SDKs: `python -m tests.conformance`."""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["CONFORMANCE"] = "all"
    sys.exit(pytest.main([str(Path(__file__).parent), *sys.argv[1:]]))
