"""What may be shown of where an input came from."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

MAX_LENGTH = 2048


def public_source(reference: Any) -> str:
    """Returns an http address without credentials, query and fragment, and "" for all else.

    So media that was sent inline is never shown again, nor a path, nor a signature in a query.
    """
    if not isinstance(reference, str) or not reference[:8].lower().startswith(
        ("http://", "https://")
    ):
        return ""
    try:
        parts = urlsplit(reference)
    except ValueError:  # a host in brackets that is no address
        return ""
    host = parts.netloc.rpartition("@")[2]
    if not host:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))[:MAX_LENGTH]
