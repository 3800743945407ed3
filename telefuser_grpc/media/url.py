"""An address of media on the web, read strictly: what could be read two ways is refused."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_LENGTH = 8192
URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@%]+))(?::([0-9]{0,5}))?")
HOST = re.compile(r"(?!-)[a-z0-9._-]{1,253}")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
FORBIDDEN = re.compile("[\\s\\\\\0-\x20\x7f-\xa0\ud800-\udfff]")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://|https?:", re.IGNORECASE)
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Unfetchable(Exception):
    """An address cannot be fetched; the message says why, and how to mend it.

    `is_passing` marks faults that another try may not meet.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class Url:
    """An http address; `host` is a name in ASCII or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Reads an address. Raises Unfetchable."""
        if len(text) > MAX_LENGTH:
            raise Unfetchable(f"it is longer than {MAX_LENGTH} characters; upload the file")
        if FORBIDDEN.search(text):
            raise Unfetchable("it has spaces, backslashes or control characters; percent-encode")
        match = URL.fullmatch(text)
        if not match:
            raise Unfetchable("only http://<host>/<path> and https://<host>/<path> are fetched")
        scheme, authority, target = match.groups()
        scheme = scheme.lower()
        host, port = _host_and_port(authority, DEFAULT_PORTS[scheme])
        if not target.startswith("/"):
            target = f"/{target}"
        return cls(scheme, host, port, quote(target, safe=PRINTABLE))

    def follow(self, location: str) -> "Url":
        """Returns where a redirect leads. Raises Unfetchable."""
        try:
            url = Url.parse(urljoin(str(self), location))
        except ValueError as error:
            raise Unfetchable("it redirects to what is no address") from error
        if (self.scheme, url.scheme) == ("https", "http"):
            raise Unfetchable("it redirects from https to http; give the final address")
        return url

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's own, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def is_url(reference: str) -> bool:
    """Tells whether a reference is meant as an address, of whatever scheme."""
    return bool(SCHEME.match(reference))


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise Unfetchable(
            "it holds a user name or a password; give an address that needs none, such as a "
            "signed one, or upload the file"
        )
    match = AUTHORITY.fullmatch(authority)
    if not match:
        raise _no_host()
    literal, name, port = match.groups()
    host = _literal(literal) if literal else _name(name)
    number = int(port or default_port)
    if not 0 < number < 65536:
        raise _no_host()
    return host, number


def _literal(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise _no_host() from error


def _name(text: str) -> str:
    """Returns a name in ASCII; an IPv4 address in any of its spellings becomes the usual one."""
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _no_host() from error
    if not HOST.fullmatch(host):
        raise _no_host()
    if not NUMBER.fullmatch(host.rpartition(".")[2]):
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError as error:
        raise _no_host() from error


def _no_host() -> Unfetchable:
    return Unfetchable("its host or port is malformed; write https://<host>/<path>")
