"""Which addresses are fetched from: public ones, however they are written."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.media.addresses import may_fetch_from

PUBLIC = [
    "1.1.1.1",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "64:ff9b::101:101",  # NAT64 of a public address: how a machine without IPv4 reaches it
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "2002:7f00:1::",
    "64:ff9b:1::1",
    "5f00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::169.254.169.254",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fetched_from(address: str) -> None:
    assert may_fetch_from(address, allow_private=False)


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
def test_private_and_special_addresses_are_refused(address: str) -> None:
    assert not may_fetch_from(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_operator_may_open_private_networks(address: str) -> None:
    assert may_fetch_from(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_link_local_and_multicast_stay_refused_when_private_networks_are_open(
    address: str,
) -> None:
    assert not may_fetch_from(address, allow_private=True)


@given(st.ip_addresses(v=4))
def test_whatever_the_standard_library_calls_not_global_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not may_fetch_from(str(address), allow_private=False)


@given(st.ip_addresses(v=6))
def test_whatever_the_standard_library_calls_not_global_is_refused_in_ipv6(
    address: IPv6Address,
) -> None:
    if not address.is_global and address.ipv4_mapped is None:
        assert not may_fetch_from(str(address), allow_private=False)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:", "64:ff9b::", "::"]))
def test_an_address_inside_another_is_judged_as_itself(address: IPv4Address, prefix: str) -> None:
    alone = may_fetch_from(str(address), allow_private=False)

    assert may_fetch_from(f"{prefix}{address}", allow_private=False) == alone
