"""Addresses are read strictly, and every spelling of a host comes out as one."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.media.addresses import may_fetch_from
from telefuser_grpc.media.url import MAX_LENGTH, Unfetchable, Url, is_url


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("http://a.example/b.png", "http://a.example/b.png"),
        ("HTTPS://A.Example/B.png?c=D#e", "https://a.example/B.png?c=D"),
        ("https://a.example", "https://a.example/"),
        ("https://a.example?b=c", "https://a.example/?b=c"),
        ("https://a.example:443/b", "https://a.example/b"),
        ("http://a.example:443/b", "http://a.example:443/b"),
        ("http://a.example:/b", "http://a.example/b"),
        ("http://a.example./b", "http://a.example/b"),
        ("http://a_b.example/@:%20[]", "http://a_b.example/@:%20[]"),
        ("http://bücher.example/ä", "http://xn--bcher-kva.example/%C3%A4"),
        ("http://a。example/b", "http://a.example/b"),
        ("http://1.1.1.1/b", "http://1.1.1.1/b"),
        ("http://[2606:4700::0:1111]:80/b", "http://[2606:4700::1111]/b"),
    ],
)
def test_an_address_is_written_in_one_way(text: str, written: str) -> None:
    assert str(Url.parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "http:/a.example/b",
        "http:a.example/b",
        "http:///b",
        "https://:443/b",
        "http://a.example:0/b",
        "http://a.example:65536/b",
        "http://a.example:123456/b",
        "http://a.example:８０/b",
        "http://a.example:-1/b",
        "http://a b.example/",
        " http://a.example/",
        "http://a.example/b c",
        "http://a.example/\r\nHost: b",
        "http://a.example/\tb",
        "http://a.example\\@b.example/",
        "http://a.example\\b",
        "http://%31%32%37.0.0.1/",
        "http://a%2eexample/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://[127.0.0.1]/",
        "http://[v1.a]/",
        "http://::1/",
        "http://a.example／b.example/",
        "http://a.example：8080/",
        "http://a℀b.example/",
        "http://-a.example/",
        "http://a..example/",
        "http://" + "a" * 64 + ".example/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://0x1ffffffff/",
        "http://09.1.1.1/",
        "http://a.example/\ud800",
        "http://a.example/" + "b" * MAX_LENGTH,
        "ftp://a.example/b",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:11211/stats",
        "s3://bucket/key",
        "//a.example/b",
        "a.example/b",
        "",
    ],
)
def test_what_is_malformed_or_of_another_scheme_is_refused(text: str) -> None:
    with pytest.raises(Unfetchable):
        Url.parse(text)


@pytest.mark.parametrize("who", ["user", "user:password", ":password", "", "a%40b", "1.1.1.1"])
def test_credentials_in_an_address_are_refused(who: str) -> None:
    with pytest.raises(Unfetchable, match="holds a user name or a password"):
        Url.parse(f"https://{who}@a.example/b.png")


def _number(part: int) -> st.SearchStrategy[str]:
    """Draws a way to write a number that C's `inet_aton` reads."""
    zeros = st.sampled_from(["0", "00", "0000"])
    return st.one_of(
        st.just(str(part)),
        zeros.map(lambda each: f"{each}{part:o}"),
        st.sampled_from(["0x", "0X", "0x0", "0X00"]).map(lambda each: f"{each}{part:x}"),
    )


def _parts(address: int) -> st.SearchStrategy[str]:
    octets = [address >> 24, address >> 16 & 0xFF, address >> 8 & 0xFF, address & 0xFF]
    splits = [
        [address],
        [octets[0], address & 0xFF_FFFF],
        [octets[0], octets[1], address & 0xFFFF],
        octets,
    ]
    return st.sampled_from(splits).flatmap(
        lambda split: st.tuples(*map(_number, split)).map(".".join)
    )


def _disguised(text: str) -> st.SearchStrategy[str]:
    """Draws full-width and circled letters, other dots, other cases: what IDNA makes plain."""
    wide = str.maketrans({each: chr(ord(each) + 0xFEE0) for each in "0123456789abcdefABCDEFxX"})
    circled = str.maketrans(
        {**{str(each): chr(0x2460 + each - 1) for each in range(1, 10)}, "0": "\u24ea"}
    )
    changes: list[Callable[[str], str]] = [
        lambda each: each,
        lambda each: each + ".",
        lambda each: each.translate(wide),
        lambda each: each.translate(circled),
        lambda each: each.replace(".", "\u3002"),
        lambda each: each.replace(".", "\uff0e"),
        lambda each: each.replace(".", "\uff61"),
        str.upper,
    ]
    return st.sampled_from(changes).map(lambda change: change(text))


LOOPBACK = st.integers(0, 2**24 - 1).map(lambda tail: (127 << 24) + tail)
V4_SPELLINGS = st.one_of(st.just(0x7F000001), LOOPBACK).flatmap(_parts).flatmap(_disguised)
V6_SPELLINGS = st.sampled_from(
    [
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::0001]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7F00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
    ]
)


@given(
    st.sampled_from(["http", "https", "HTTP"]),
    st.one_of(V4_SPELLINGS, V6_SPELLINGS),
    st.sampled_from(["", ":80", ":443", ":"]),
    st.sampled_from(["", "/", "/a.png", "?a=b", "/a?b=c#d", "#@1.1.1.1/"]),
)
def test_no_spelling_of_loopback_is_fetched_from(
    scheme: str, host: str, port: str, target: str
) -> None:
    try:
        url = Url.parse(f"{scheme}://{host}{port}{target}")
    except Unfetchable:
        return

    assert not may_fetch_from(url.host, allow_private=False)


@given(st.ip_addresses(v=4).flatmap(lambda address: _parts(int(address))))
def test_a_host_in_numbers_is_the_address_that_the_system_would_take(spelling: str) -> None:
    host = Url.parse(f"http://{spelling}/").host

    assert host == str(IPv4Address(socket.inet_aton(spelling)))


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for candidate in (text, f"http://{text}", f"https://a.example/{text}"):
        try:
            url = Url.parse(candidate)
        except Unfetchable:
            continue
        assert Url.parse(str(url)) == url
        assert str(url).isascii()
        assert "@" not in url.host


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("c.png", "https://a.example/x/c.png"),
        ("/c.png", "https://a.example/c.png"),
        ("//b.example/c.png", "https://b.example/c.png"),
        ("https://b.example/c.png#d", "https://b.example/c.png"),
        ("?q", "https://a.example/x/b.png?q"),
    ],
)
def test_a_redirect_leads_where_it_says(location: str, url: str) -> None:
    assert str(Url.parse("https://a.example/x/b.png").follow(location)) == url


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://a.example/b.png", "from https to http"),
        ("file:///etc/passwd", "only http"),
        ("gopher://b.example/", "only http"),
        ("https://user@b.example/", "user name"),
        ("//[::1", "no address"),
        ("https://b.example/a b", "spaces"),
    ],
)
def test_a_redirect_is_read_as_strictly(location: str, why: str) -> None:
    with pytest.raises(Unfetchable, match=why):
        Url.parse("https://a.example/b.png").follow(location)


@pytest.mark.parametrize(
    "reference", ["http://a/b", "HTTPS://a", "http:a", "ftp://a/b", "file:///a", "s3://a/b"]
)
def test_what_has_a_scheme_is_meant_as_an_address(reference: str) -> None:
    assert is_url(reference)


@pytest.mark.parametrize(
    "reference",
    ["/srv/a.png", "a.png", "data:image/png;base64,AA//", "upload:upload_a", "httpd/a.png", ""],
)
def test_anything_else_is_not(reference: str) -> None:
    assert not is_url(reference)
