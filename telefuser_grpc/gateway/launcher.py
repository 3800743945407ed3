"""Becomes another program, which the kernel kills when the process that started it is gone.

Run as a script, `launcher.py <pid of the parent> <program> <arguments…>`, because code between fork
and exec is not safe in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent was gone before the kernel could be told to watch it")
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
