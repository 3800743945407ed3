"""What the first rank of a replica and the others, its followers, tell each other.

to a follower       when
Follow              once, first of all
Together            all ranks begin to run these jobs
Decided             between: as often as the first rank asks whether a job is cancelled
Over                the first rank has ended that run, however

from a follower     when
Joined              its pipeline is loaded
Refused             it could not be; the follower exits
Ended               after Together: it has ended that run
"""

import msgspec

from telefuser_grpc.domain.job import Job
from telefuser_grpc.workers.messages import Load


class Follow(msgspec.Struct, frozen=True, tag=True):
    """Load what the first rank loads, and meet the other ranks at this file."""

    load: Load
    meeting: str
    rank: int
    size: int


class Together(msgspec.Struct, frozen=True, tag=True):
    """Run these jobs."""

    number: int
    jobs: tuple[Job, ...]


class Decided(msgspec.Struct, frozen=True, tag=True):
    """The next question whether a job is cancelled has this answer, in all ranks."""

    is_cancelled: bool


class Over(msgspec.Struct, frozen=True, tag=True):
    """Nothing more will be decided in this run."""


class Joined(msgspec.Struct, frozen=True, tag=True):
    """The pipeline is loaded here too."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The pipeline cannot be loaded here, for a reason that people may read."""

    message: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The run of this number has ended here; `failure` tells of what, "" if as it should."""

    number: int
    failure: str = ""


FromLeader = Follow | Together | Decided | Over
FromFollower = Joined | Refused | Ended
