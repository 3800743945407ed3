"""Lets the processes that tests start keep what they compile, and write lines as long as paths."""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of some 500 starts compiles all of ours
sys.dont_write_bytecode = False

os.environ["COLUMNS"] = "240"  # else a sentence breaks in a word where a temporary path is long
