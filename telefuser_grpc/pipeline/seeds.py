"""Gives a run random numbers of its own, for files and classes that draw without a generator."""

import random
import sys
import zlib

from telefuser_grpc.domain.job import Job


def seed_libraries(job: Job) -> None:
    """Seeds the global generators with the seed of a job: same request, same numbers.

    A job without one gets what is its own, in whichever process of a replica it runs.
    """
    seed = job.fields.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        seed = zlib.crc32(job.task_id.encode())
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy  # waits where another thread is importing it

        numpy.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed % 2**64)
