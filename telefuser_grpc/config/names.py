"""The names of the settings in an environment: documented, older, and those without effect."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from telefuser_grpc.config.settings import Settings

PREFIX = "TELEFUSER_"
ENV_FILE = "ENV_FILE"

SPELLINGS: Mapping[str, tuple[str, ...]] = {  # where it is not the field's own; the first wins
    "cache_dir": ("ARTIFACT_LOCAL_ROOT", "CACHE_DIR"),
    "allow_unsafe": ("ALLOW_UNSAFE", "ALLOW_UNSAFE_PIPELINES"),
    "max_ppl_size": ("MAX_PPL_SIZE", "MAX_PPL_FILE_SIZE"),
    "rate_limit_enabled": ("RATE_LIMIT_ENABLED", "ENABLE_RATE_LIMIT"),
    "rate_limit_rpm": ("RATE_LIMIT_RPM", "RATE_LIMIT_REQUESTS_PER_MINUTE"),
    "access_log": ("ENABLE_ACCESS_LOG", "ACCESS_LOG"),
}
OTHERS = frozenset({ENV_FILE, "SERVER", "API_KEY"})  # not the service's, but somebody's
WITHOUT_EFFECT = frozenset(
    {
        "CACHE_MODE",
        "ENABLE_LATENT_CACHE",
        "LOG_BACKTRACE",
        "LOG_COMPRESSION",
        "LOG_DIAGNOSE",
        "LOG_ENQUEUE",
        "LOG_EXTRA_FIELDS",
        "LOG_FILTER_MODULES",
        "LOG_MULTIPROCESS",
        "LOG_SERIALIZE",
        "METRICS_NAMESPACE",
        "METRICS_PATH",
        "PROCESSING_LOCK_TIMEOUT",
        "RATE_LIMIT_PATHS",
    }
)
# What Kubernetes gives every container beside a Service that is called `telefuser`.
SERVICE_LINK = re.compile(
    r"SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?"
)
SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


def spellings(field: str) -> tuple[str, ...]:
    """Returns the names of a setting without the prefix; the first wins."""
    return SPELLINGS.get(field, (field.upper(),))


def variable(field: str) -> str:
    """Returns the documented name of a setting."""
    return PREFIX + spellings(field)[0]


def is_service_link(name: str, value: str) -> bool:
    """Tells whether a name without the prefix is not a setting but Kubernetes' own."""
    if name == "PORT":
        return bool(SERVICE_LINK_VALUE.match(value))
    return bool(SERVICE_LINK.fullmatch(name))


def objection(name: str) -> str:
    """Says why a name without the prefix sets nothing, or nothing where it does."""
    if name in FIELDS or name in OTHERS:
        return ""
    if name in WITHOUT_EFFECT:
        return "has no effect here"
    nearest = get_close_matches(name, [*FIELDS, ENV_FILE], n=1)
    return f"is unknown; did you mean {PREFIX}{nearest[0]}?" if nearest else "is unknown"


FIELDS: Mapping[str, str] = {
    name: field for field in Settings.model_fields for name in spellings(field)
}
