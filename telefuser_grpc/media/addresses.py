"""Which network addresses this server fetches from: public ones, and those an operator opens."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Refused whatever the operator opens: nobody serves media there, but clouds serve credentials.
_NEVER = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # metadata of Alibaba
        "168.63.129.16/32",  # wire server of Azure, although a public address
        "169.254.0.0/16",
        "192.0.0.192/32",  # metadata of Oracle
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fd00:ec2::/32",  # metadata of Amazon
        "fd20:ce::/32",  # metadata of Google
        "fe80::/10",
        "ff00::/8",
    )
)
_NOT_PUBLIC_V4 = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    )
)
_PUBLIC_V6 = ip_network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ip_network(each)
    for each in (
        "2001::/23",  # Teredo among others: an IPv4 address in disguise
        "2001:db8::/32",
        "2002::/16",  # 6to4: the same
        "3fff::/20",
    )
)
# The last 32 bits are an IPv4 address: compatible, mapped, translated by NAT64.
_EMBEDDING = tuple(ip_network(each) for each in ("::/96", "::ffff:0:0/96", "64:ff9b::/96"))
_LOOPBACK_V6 = IPv6Address("::1")


def may_fetch_from(text: str, *, allow_private: bool) -> bool:
    """Tells whether this server connects to an address, given as a resolver writes it."""
    address = _innermost(ip_address(text))
    if any(address in network for network in _NEVER):
        return False
    return allow_private or _is_public(address)


def _innermost(address: Address) -> Address:
    if isinstance(address, IPv4Address) or address == _LOOPBACK_V6 or int(address) == 0:
        return address
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
