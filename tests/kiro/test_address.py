"""An address is understood as httpx understands it."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.kiro.address import Address, NoAddress, OtherScheme, parse_address

PROPER = [
    "example.com",
    "EXAMPLE.Com",
    "a-b.c_d",
    "127.0.0.1",
    "[::1]",
    "[2001:DB8::1]",
    "bücher.de",
    "x.local.",
    "0x7f.1",
]
WRONG = ["①.com", "[::g]", "1.2.3.999", "", "a b", "a\tb", "a\\b", "a%41"]
hosts = st.sampled_from(PROPER + WRONG)
ports = st.sampled_from(["", "", ":", ":80", ":443", ":8080", ":0", ":99999", ":x"])
letters = st.text(st.sampled_from("abZ019/?#:@%&=+.~-_ é\"<>`{}[]|^\\;,!$'()*\n"), max_size=12)
dots = st.lists(st.sampled_from(["a", "b.c", ".", "..", "", "...", "%2e"]), max_size=6).map(
    lambda parts: "/" + "/".join(parts)
)
users = st.sampled_from(["", "", "", "me@", "me:pw@", "a@b@"])
urls = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "ftp://", "http:/", "//", ""]),
    users,
    hosts,
    ports,
    st.one_of(st.just(""), dots, letters.map("/".__add__)),
    st.one_of(st.just(""), letters.map("?".__add__), letters.map("#".__add__)),
)


def by_httpx(url: str, base: httpx.URL | None = None) -> httpx.URL | None:
    try:
        where = httpx.URL(url) if base is None else base.join(url)
    except (httpx.InvalidURL, ValueError):
        return None
    return where if where.scheme in ("http", "https") and where.host else None


def ours(url: str, base: Address | None = None) -> Address | None:
    try:
        return parse_address(url, base)
    except NoAddress:
        return None


def check(found: Address, oracle: httpx.URL) -> None:
    assert (found.scheme, found.host, found.port) == (oracle.scheme, oracle.raw_host.decode(), oracle.port)
    assert found.netloc == oracle.netloc.decode()
    assert found.has_user == bool(oracle.userinfo)
    assert found.target == oracle.raw_path.decode()
    if not found.has_user and oracle.path != "/":
        assert str(found).partition("#")[0] == str(oracle).partition("#")[0]


def differs_on_purpose(url: str) -> bool:
    """Where RFC 3986 keeps the slash behind a last dot segment and httpx does not, hosts with escapes in them, schemes
    of no letter."""
    path = url.partition("?")[0].partition("#")[0]
    if url.startswith(":"):
        return True
    return path.endswith(("/.", "/..")) or "%41" in url or "a b" in url or "a\\b" in url


@given(urls)
@example("http://example.com")
@example("http://example.com?q")
@example("https://[::1]:443/")
@example("http://me:pw@example.com/")
def test_an_address_is_what_httpx_makes_of_it(url: str) -> None:
    found, oracle = ours(url), by_httpx(url)
    if differs_on_purpose(url):
        return
    assert (found is None) == (oracle is None), (found, oracle)
    if found is not None and oracle is not None:
        check(found, oracle)


@given(
    st.one_of(urls, dots, letters, st.just("//other.org/x")),
    st.sampled_from(["http://a.org/b/c?d", "https://a.org:8/"]),
)
@example("////", "http://a.org/b/c?d")
@example("///x", "http://a.org/b/c?d")
def test_a_redirect_leads_where_httpx_goes(url: str, base: str) -> None:
    found, oracle = ours(url, parse_address(base)), by_httpx(url, httpx.URL(base))
    if differs_on_purpose(url) or url != url.strip():
        return
    if found is not None and oracle is not None:
        check(found, oracle)
    else:
        assert found is None, "it was called though httpx takes it for no address"


@given(urls)
def test_what_is_sent_of_an_address_can_stand_in_a_request(url: str) -> None:
    if (found := ours(url)) is not None:
        for text in (found.target, found.netloc):
            assert text.isascii()
            assert text.isprintable()
            assert " " not in text
        assert found.target.startswith("/")
        again = parse_address(str(found))
        assert (again.host, again.port, again.target) == (found.host, found.port, found.target)


@pytest.mark.parametrize("url", ["ftp://x/", "http:///x", "x", "", "mailto:me@x", "//x/"])
def test_what_is_no_place_for_http_is_told_from_what_is_no_address(url: str) -> None:
    with pytest.raises(OtherScheme):
        parse_address(url)


@pytest.mark.parametrize(
    "url", ["http://exa\nmple.com/", "http://x:99x/", "http://[::g]/", "http://x/\ud800", "http://①/\x00"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NoAddress):
        parse_address(url)
