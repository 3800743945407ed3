"""Ports for what a test starts, also when several processes test at the same time."""

import itertools
import random
import socket
from collections.abc import Iterator
from contextlib import suppress

BELOW_THE_KERNEL_S = range(20_000, 32_000)  # those that it hands out begin above


def free_port() -> int:
    """Returns a free port that nobody else is given while its owner is down.

    They are given in turn from a random one on: not twice to one process, and to two only where
    both come to the same at the same moment.
    """
    return next(port for port in _turn if _is_free(port))


def _from_a_random_one() -> Iterator[int]:
    start = random.randrange(len(BELOW_THE_KERNEL_S))
    return itertools.cycle([*BELOW_THE_KERNEL_S[start:], *BELOW_THE_KERNEL_S[:start]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


_turn = _from_a_random_one()
