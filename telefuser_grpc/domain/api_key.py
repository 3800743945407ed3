"""API keys: how they are written down, and what is kept of them."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SHORT_KEY = 16
"""Characters below which a key can be guessed."""

NAME = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}", re.ASCII)
KEY = re.compile(r"[\x21-\x7e]{1,512}")
HASHED = "sha256:"
DIGEST = re.compile(r"[0-9a-f]{64}")
ID_DIGITS = 16
REMEDY = "make one with: openssl rand -hex 32"


class UnusableKeys(ValueError):
    """Keys that are not written as they must be; the text says where, and never what a key is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key and whose it is; callers may have several keys, so that one can follow another.

    Attributes:
        name: The caller, who owns what is made with the key.
        digest: SHA-256 of the key, in hexadecimal digits.
        secret: The key itself; None where only its digest was given.
    """

    name: str
    digest: str
    secret: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """Names caller and key, without being the key: `studio#9f86d081884c7d65`."""
        return f"{self.name}#{self.digest[:ID_DIGITS]}"

    @property
    def is_short(self) -> bool:
        """Tells whether the key could be guessed."""
        return self.secret is not None and len(self.secret) < SHORT_KEY


def read_list(text: str) -> tuple[ApiKey, ...]:
    """Reads `studio:key, key, lab:sha256:digest`. Raises UnusableKeys."""
    parts = (part.strip() for part in text.split(","))
    return _distinct((f"entry {number}", part) for number, part in enumerate(parts, 1) if part)


def read_lines(text: str) -> tuple[ApiKey, ...]:
    """Reads a line `studio: key` for each key; `#` begins a comment. Raises UnusableKeys."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return _distinct((f"line {number}", line) for number, line in enumerate(lines, 1) if line)


def merged(*groups: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
    """Returns keys of several sources as one. Raises UnusableKeys."""
    keys: dict[str, ApiKey] = {}
    for key in (key for group in groups for key in group):
        known = keys.setdefault(key.digest, key)
        if known.name != key.name:
            raise UnusableKeys(f"{known.name} and {key.name} have the same key; give each its own")
    return tuple(keys.values())


def digest_of(secret: str) -> str:
    """Returns what is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _distinct(entries: Iterable[tuple[str, str]]) -> tuple[ApiKey, ...]:
    return merged(_parsed(entries))


def _parsed(entries: Iterable[tuple[str, str]]) -> Iterator[ApiKey]:
    for place, text in entries:
        try:
            yield _key(text)
        except UnusableKeys as error:
            raise UnusableKeys(f"{place} {error}") from None


def _key(text: str) -> ApiKey:
    name, separator, key = (part.strip() for part in text.partition(":"))
    if not separator or f"{name}:" == HASHED:
        return _named("", text)
    if not NAME.fullmatch(name):
        raise UnusableKeys("must be name: key, and the name of letters, digits, '.', '_', '@', '-'")
    return _named(name, key)


def _named(name: str, key: str) -> ApiKey:
    if not KEY.fullmatch(key):
        raise UnusableKeys(f"has no key of 1 to 512 visible ASCII characters; {REMEDY}")
    if not key.startswith(HASHED):
        digest = digest_of(key)
        return ApiKey(name=name or _unnamed(digest), digest=digest, secret=key)
    digest = key.removeprefix(HASHED).lower()
    if not DIGEST.fullmatch(digest):
        raise UnusableKeys("must have 64 hexadecimal digits after sha256:")
    return ApiKey(name=name or _unnamed(digest), digest=digest)


def _unnamed(digest: str) -> str:
    return f"key-{digest[:8]}"
