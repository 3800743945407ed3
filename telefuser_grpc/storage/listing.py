"""Page tokens: where the next page of a listing begins, bound to the listing's filter."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from telefuser_grpc.errors import InvalidPageToken
from telefuser_grpc.scheduler.ports import TaskQuery

END = 2**63 - 1  # above every ordinal

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, str]).decode


def page_token(query: TaskQuery, last_ordinal: int) -> str:
    """Returns the token of the page after the one that ends with a task."""
    return urlsafe_b64encode(_encode((last_ordinal, _digest(query)))).decode().rstrip("=")


def ordinal_before(query: TaskQuery) -> int:
    """Returns the ordinal behind which the query's page begins, as far as its token says.

    Raises:
        InvalidPageToken
    """
    if not query.page_token:
        return 0 if query.oldest_first else END
    try:
        padding = "=" * (-len(query.page_token) % 4)
        ordinal, digest = _decode(urlsafe_b64decode(query.page_token + padding))
    except ValueError as error:  # of Unicode, base64 or JSON
        raise InvalidPageToken from error
    if digest != _digest(query) or not 0 < ordinal < END:
        raise InvalidPageToken
    return ordinal


def _digest(query: TaskQuery) -> str:
    filters = (sorted(query.states), sorted(query.kinds), query.owner, query.oldest_first)
    return hashlib.blake2b(_encode(filters), digest_size=8).hexdigest()
