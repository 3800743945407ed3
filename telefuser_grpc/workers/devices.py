"""Which devices each replica may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One maker's devices.

    Attributes:
        variables: What limits the devices that a process sees; the first that is set counts.
        nodes: Patterns of the files by which a machine shows that it has such devices.
    """

    variables: tuple[str, ...]
    nodes: tuple[str, ...]

    def shown_by(self, folder: Path) -> bool:
        """Tells whether the machine has such devices."""
        return any(any(folder.glob(pattern)) for pattern in self.nodes)

    def limit(self, environment: Mapping[str, str]) -> tuple[str, str]:
        """Returns the variable that counts, with its value; "" where none is set."""
        variables = (name for name in self.variables if environment.get(name, "").strip())
        name = next(variables, self.variables[0])
        return name, environment.get(name, "").strip()


CUDA = Platform(variables=("CUDA_VISIBLE_DEVICES",), nodes=("nvidia[0-9]*", "dxg"))
ROCM = Platform(variables=("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"), nodes=("kfd",))
ASCEND = Platform(variables=("ASCEND_RT_VISIBLE_DEVICES",), nodes=("davinci[0-9]*",))
PLATFORMS = (CUDA, ROCM, ASCEND)


class AllotmentError(ValueError):
    """The devices cannot be split as asked; the message says why."""


def find_platform(environment: Mapping[str, str], folder: Path = DEVICES) -> Platform | None:
    """Returns the platform whose devices are there, else the one that a variable speaks of."""
    shown = (each for each in PLATFORMS if each.shown_by(folder))
    told = (each for each in PLATFORMS if each.limit(environment)[1])
    return next(shown, None) or next(told, None)


def allot(
    *, parallelism: int, replicas: int, environment: Mapping[str, str], folder: Path = DEVICES
) -> tuple[tuple[str, ...], ...]:
    """Splits the first `parallelism` visible devices into one contiguous group for each replica.

    The visible ones are the opaque tokens of the platform's variable, else 0, 1 and so on. On a
    machine without accelerators every group is empty: replicas use the CPU.

    Raises:
        AllotmentError
    """
    if parallelism % replicas:
        raise AllotmentError(
            f"--parallelism ({parallelism}) must be divisible by --num-replicas ({replicas})"
        )
    platform = find_platform(environment, folder)
    if platform is None:
        return ((),) * replicas
    name, value = platform.limit(environment)
    visible = _tokens(value) or [str(index) for index in range(parallelism)]
    if parallelism > len(visible):
        raise AllotmentError(
            f"--parallelism={parallelism} but only {len(visible)} GPUs visible ({name}={value})"
        )
    size = parallelism // replicas
    return tuple(tuple(visible[start : start + size]) for start in range(0, parallelism, size))


def visibility(
    devices: Sequence[str], environment: Mapping[str, str], folder: Path = DEVICES
) -> dict[str, str]:
    """Returns the variables that let a process see these devices only."""
    platform = find_platform(environment, folder) or CUDA
    return dict.fromkeys(platform.variables, ",".join(devices))


def _tokens(value: str) -> list[str]:
    return [token.strip() for token in value.split(",") if token.strip()]
