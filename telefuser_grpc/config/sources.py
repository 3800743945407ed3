"""Reads what an environment and `.env` files say, without judging it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from telefuser_grpc.config.names import ENV_FILE, FIELDS, PREFIX, is_service_link

LINK_COMPLAINT = (
    "{} is Kubernetes' link to a Service and is ignored; set enableServiceLinks: false in the Pod"
)


class ConfigError(Exception):
    """A setting that makes no sense; the message names it and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A variable with the prefix as somebody has written it; `file` is None in an environment."""

    variable: str
    value: str
    file: Path | None = None

    @property
    def name(self) -> str:
        """The name without the prefix, as the documentation writes it."""
        return self.variable.upper().removeprefix(PREFIX)

    def __str__(self) -> str:
        return f"{self.variable} in {self.file}" if self.file else self.variable


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, and what in it makes no sense; an earlier layer wins."""

    given: tuple[Given, ...]
    complaints: tuple[str, ...] = ()


def read_layers(environment: Mapping[str, str], folder: Path) -> list[Layer]:
    """Reads the environment, the file that it names, and `.env` of a folder.

    Raises:
        ConfigError: A file cannot be read.
    """
    layers = [read_environment(environment)]
    if named := [each for each in layers[0].given if each.name == ENV_FILE]:
        layers.append(_read_named(named[0], folder))
    default = folder / ".env"
    if default.is_file():  # a folder may be a virtual environment
        layers.append(_read_file(default, Path(".env")))
    return layers


def read_environment(environment: Mapping[str, str]) -> Layer:
    """Returns the variables with the prefix, in any case; the documented case comes first."""
    names = sorted(name for name in environment if name.upper().startswith(PREFIX))
    given = [Given(variable=name, value=environment[name]) for name in names if environment[name]]
    links = [each for each in given if is_service_link(each.name, each.value)]
    return Layer(
        tuple(each for each in given if each not in links),
        tuple(LINK_COMPLAINT.format(each) for each in links if each.name in FIELDS),
    )


def _read_named(given: Given, folder: Path) -> Layer:
    path = folder / given.value
    if not path.is_file():
        raise ConfigError(f"{given}: {given.value!r} is no file; name one or unset it")
    return _read_file(path, Path(given.value))


def _read_file(path: Path, shown: Path) -> Layer:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{shown}: {reason}; make it readable or remove it") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: is not UTF-8 text; save it as such") from None
    given = {
        each.key: Given(variable=each.key, value=each.value, file=shown)
        for each in bindings
        if each.key and each.value and each.key.upper().startswith(PREFIX)
    }
    complaints = [
        f"{shown} line {_line(each)} is not NAME=value and is ignored"
        for each in bindings
        if PREFIX in each.original.string.upper() and _is_broken(each)
    ]
    return Layer(tuple(given.values()), tuple(complaints))


def _is_broken(binding: Binding) -> bool:
    return binding.error or (binding.key is not None and binding.value is None)


def _line(binding: Binding) -> int:
    """The parser counts from the blank lines before."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
