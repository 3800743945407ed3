"""The API keys as Envoy reads them: a file beside its configuration, which it watches.

Envoy compares the keys themselves, so the file holds them in plain text, for its owner only.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from telefuser_grpc.domain.api_key import ApiKey
from telefuser_grpc.gateway.options import GatewayError

KEYS = "api_keys.yaml"
FILTER = "api-keys"

_TYPES = "type.googleapis.com/envoy"
_PUBLIC = (
    r"/v1/service/(health|ready)|/health|/docs(/assets/.*)?|/redoc|/openapi\.json|/videos/[^/]*"
)


def write_keys(keys: Sequence[ApiKey], folder: Path) -> None:
    """Replaces the file at once; a running Envoy takes it within moments. Raises GatewayError."""
    text = yaml.safe_dump({"resources": [_extension(keys)]}, sort_keys=False)
    part = folder / f".{KEYS}.part"
    part.unlink(missing_ok=True)
    with open(part, "x", encoding="utf-8", opener=_private) as file:
        file.write(text)
    part.replace(folder / KEYS)


def is_public(path: str) -> bool:
    """Tells whether a documented path needs no key: probes, documentation, unguessable names."""
    return re.fullmatch(_PUBLIC, path) is not None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _extension(keys: Sequence[ApiKey]) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.config.core.v3.TypedExtensionConfig",
        "name": FILTER,
        "typed_config": {
            "@type": f"{_TYPES}.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
            "key_sources": [{"header": "authorization"}, {"header": "x-api-key"}],
            "credentials": [{"key": _secret(each), "client": each.id} for each in keys],
            "forwarding": {"header": "x-client-id", "hide_credentials": True},
        },
    }


def _secret(key: ApiKey) -> str:
    if key.secret is None:
        raise GatewayError(
            f"the key of {key.name} is given as its SHA-256, but Envoy compares keys themselves;"
            " give the key, or serve with --no-gateway, where the server compares digests"
        )
    return key.secret
