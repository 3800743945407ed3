"""Forms that a setting's text may have: lists, sizes, durations, and words of any case."""

import json
import re
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr

from telefuser_grpc.domain.api_key import read_list

Item = TypeVar("Item")

UNITS = {"": 1, "B": 1}
UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMG", start=1)}
UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMG", start=1)}
PERIODS = {"": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
LOG_FORMATS = {"detailed": "console", "simple": "console", "structured": "json"}


def _items(value: Any) -> Any:
    """Reads `["a", "b"]` or `a, b`."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be a JSON list, as ["a", "b"], or words with commas') from None


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _log_format(value: Any) -> Any:
    word = _lower(value)
    return LOG_FORMATS.get(word, word)


def _log_level(value: Any) -> Any:
    return {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(_upper(value), _upper(value))


def _facility(value: Any) -> Any:
    word = _lower(value)
    if word not in SysLogHandler.facility_names:
        raise ValueError(f"must be one of {', '.join(sorted(SysLogHandler.facility_names))}")
    return word


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number, unit = _measure(value)
    if unit.upper() not in UNITS:
        raise ValueError("must be a size, as 100 MB, 64 MiB or a number of bytes")
    return int(number * UNITS[unit.upper()])


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number, unit = _measure(value)
    period = unit.lower().removesuffix("s")
    if period not in PERIODS:
        raise ValueError("must be a duration, as 30 days, 12 hours or a number of seconds")
    return number * PERIODS[period]


def _measure(text: str) -> tuple[float, str]:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    return (float(match[1]), match[2]) if match else (0.0, "?")


def _base_url(value: Any) -> Any:
    if isinstance(value, str) and not re.match(r"https?://[^/?#\s]+", value):
        raise ValueError("must be an address, as https://video.example.com")
    return value.rstrip("/") if isinstance(value, str) else value


def _keys_in_a_row(value: Any) -> Any:
    """Reads `["a:key", "key"]` too."""
    return ",".join(map(str, _items(value))) if isinstance(value, str) else value


def _keys(value: SecretStr) -> SecretStr:
    if not read_list(value.get_secret_value()):
        raise ValueError("has no key; write name:key, or leave it out")
    return value


Items = Annotated[tuple[Item, ...], BeforeValidator(_items)]
Paths = Items[Path]
Words = Items[str]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Word = Annotated[str, BeforeValidator(_lower)]

ApiKeys = Annotated[SecretStr, AfterValidator(_keys), BeforeValidator(_keys_in_a_row)]

SecurityLevel = Annotated[
    Literal["NONE", "BASIC", "STRICT", "SANDBOX"],
    BeforeValidator(_upper),
]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(_log_level),
]
LogFormat = Annotated[Literal["console", "json"], BeforeValidator(_log_format)]
LogSink = Annotated[Literal["console", "file", "syslog", "both"], BeforeValidator(_lower)]
Facility = Annotated[str, BeforeValidator(_facility)]
ErrorFormat = Annotated[Literal["documented", "upstream"], BeforeValidator(_lower)]
Enforcement = Annotated[Literal["strict", "relaxed"], BeforeValidator(_lower)]
NoCapacity = Annotated[Literal["fail", "wait"], BeforeValidator(_lower)]
Persistence = Annotated[Literal["persistent", "ephemeral"], BeforeValidator(_lower)]
GpuPlatform = Annotated[Literal["auto", "nvidia", "amd"], BeforeValidator(_lower)]
Dtype = Annotated[Literal["auto", "bfloat16", "float16", "float32"], BeforeValidator(_lower)]
Offload = Annotated[Literal["none", "model", "group", "sequential"], BeforeValidator(_lower)]
Quantization = Annotated[Literal["none", "int8", "int4", "float8", "nf4"], BeforeValidator(_lower)]
Parallel = Annotated[Literal["spread", "context"], BeforeValidator(_lower)]
StepCache = Annotated[
    Literal["none", "first_block", "taylorseer", "pyramid"], BeforeValidator(_lower)
]
VideoCodec = Annotated[Literal["H264", "VP8"], BeforeValidator(_upper)]
