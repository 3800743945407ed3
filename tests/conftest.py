"""Lets the processes that tests start keep what they compile, also where an image forbids it."""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of some 500 starts compiles all of ours
sys.dont_write_bytecode = False
