"""Fetching over real sockets: what is given back, what is refused, and that nothing is left open."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trustme
from hypothesis import example, given
from hypothesis import strategies as st
from support.sites import Site, answer, redirect, resolving

from kirotrio import __version__
from kirotrio.config.settings import FetchSettings, Settings
from kirotrio.kiro.lines import Line
from kirotrio.kiro.tunnels import ConnectFailed, Direct
from kirotrio.relay import fetching
from kirotrio.relay.fetching import Fetched, FetchRefused, fetch

HERE = Settings(fetch=FetchSettings(allow_networks="127.0.0.0/8"))


@pytest.fixture
async def site(nursery) -> Site:
    return await Site().start(nursery)


async def refused(url: str, **options: Any) -> FetchRefused:
    with pytest.raises(FetchRefused) as caught:
        await fetch(url, **{"ceiling": 1000, "settings": HERE, **options})
    return caught.value


def with_deadlines(**seconds: float) -> Settings:
    return attrs.evolve(HERE, deadlines=attrs.evolve(HERE.deadlines, **seconds))


async def test_what_is_found_comes_with_its_type_and_its_address(site):
    site.pages["/a.txt"] = [answer("grün".encode("latin-1"), content_type='Text/Plain; Charset="ISO-8859-1"')]
    fetched = await fetch(f"{site.url}/a.txt?token=s3cret", ceiling=1000, settings=HERE)
    assert fetched == Fetched(f"{site.url}/a.txt?token=s3cret", "text/plain", "iso-8859-1", "grün".encode("latin-1"))


async def test_the_request_says_who_asks_and_carries_nothing_else_of_the_users(site):
    site.pages["/"] = [answer(b"x", set_cookie="a=b"), 0.0]
    await fetch(f"{site.url}/", ceiling=1000, settings=HERE)
    await fetch(f"{site.url}/", ceiling=1000, settings=HERE)
    for head in site.heads:
        first, *fields = head.strip().lower().split("\r\n")
        assert first == "get / http/1.1"
        assert sorted(fields) == [
            "accept-encoding: identity",
            "accept: */*",
            "connection: close",
            f"host: 127.0.0.1:{site.port}",
            f"user-agent: kirotrio/{__version__}",
        ]


@pytest.mark.parametrize("told", ["", "nonsense", "a/b/c", "/plain", "text/"])
async def test_what_has_no_proper_type_is_octets(site, told):
    site.pages["/x"] = [answer(b"x", content_type=told)]
    assert (await fetch(f"{site.url}/x", ceiling=1000, settings=HERE)).media_type == "application/octet-stream"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_fetched_from_however_it_is_written(site, host):
    site.pages["/"] = [answer(b"internal")]
    error = await refused(f"http://{host}:{site.port}/", settings=Settings())
    assert error.code == "url_not_allowed"
    assert not site.heads, "it was called all the same"


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[fe80::1]", "0.0.0.0"])
async def test_addresses_of_inner_networks_are_refused_and_named(host):
    error = await refused(f"http://{host}/latest/meta-data?key=s3cret")
    assert error.code == "url_not_allowed"
    assert host.strip("[]") in error.message
    assert "s3cret" not in error.message


async def test_a_name_that_resolves_to_an_inner_address_is_refused(site):
    with resolving(files_test=[["127.0.0.1"]]):
        error = await refused(f"http://files.test:{site.port}/", settings=Settings())
    assert error.code == "url_not_allowed"
    assert "files.test" in error.message
    assert not site.heads


async def test_the_address_that_was_judged_is_the_one_that_is_called(site):
    site.pages["/"] = [answer(b"x")]
    with resolving(files_test=[["127.0.0.1"], ["10.0.0.1"]]) as names:
        assert (await fetch(f"http://files.test:{site.port}/", ceiling=9, settings=HERE)).content == b"x"
    assert names.asked == ["files.test"], "the name was looked up again after it was judged"


async def test_of_several_addresses_only_those_that_may_be_called_are(site):
    site.pages["/"] = [answer(b"x")]
    with resolving(files_test=[["10.0.0.1", "::1", "127.0.0.1"]]):
        assert (await fetch(f"http://files.test:{site.port}/", ceiling=9, settings=HERE)).content == b"x"


async def test_an_address_on_which_nobody_listens_leaves_the_next_one(site):
    site.pages["/"] = [answer(b"x")]
    with resolving(files_test=[["127.1.1.1", "127.0.0.1"]]):
        assert (await fetch(f"http://files.test:{site.port}/", ceiling=9, settings=HERE)).content == b"x"


@attrs.define
class Network:
    """In place of the real one: whom `called` names, with how many seconds of patience. `listening` answer with "x"."""

    listening: set[str] = attrs.field(factory=set)
    called: list[tuple[str, float]] = attrs.field(factory=list)

    async def connect_tcp(self, address: str, port: int, timeout: float) -> Line:
        self.called.append((address, timeout))
        if address not in self.listening:
            raise ConnectFailed("nobody there")
        near, far = socket.socketpair()
        with far:
            far.sendall(answer(b"x"))
        near.setblocking(False)
        return Line(near)


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]
INNER = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:192.168.1.1"]


@given(st.lists(st.sampled_from(PUBLIC + INNER), min_size=1, max_size=6), st.sets(st.sampled_from(PUBLIC + INNER)))
@example(["10.0.0.1", "8.8.8.8"], {"10.0.0.1", "8.8.8.8"})
@example(["8.8.8.8", "10.0.0.1"], {"10.0.0.1"})
@example(["8.8.8.8", "1.1.1.1"], {"8.8.8.8"})
@example(["8.8.8.8", "1.1.1.1"], {"1.1.1.1"})
async def test_the_public_addresses_of_a_name_are_tried_in_turn_and_no_other_ever(addresses, listening):
    usable = [address for address in dict.fromkeys(addresses) if address in PUBLIC]
    answering = [number for number, address in enumerate(usable) if address in listening]
    network = Network(listening)
    with resolving(files_test=[addresses]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Direct, "connect_tcp", network.connect_tcp)
        if answering:
            assert (await fetch("http://files.test/", ceiling=9, settings=Settings())).content == b"x"
        else:
            error = await refused("http://files.test/", settings=Settings())
            assert error.code == ("url_not_accessible" if usable else "url_not_allowed")
    tried = usable[: answering[0] + 1] if answering else usable
    assert [address for address, _ in network.called] == tried


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_the_addresses_of_a_name_share_the_time_for_connecting(monkeypatch, count):
    network = Network()
    monkeypatch.setattr(Direct, "connect_tcp", network.connect_tcp)
    with resolving(files_test=[PUBLIC[:count]]):
        await refused("http://files.test/", settings=with_deadlines(connect=6.0))
    assert network.called == [(address, 6.0 / count) for address in PUBLIC[:count]]


async def test_redirects_are_followed_and_the_last_address_is_told(site):
    site.pages |= {"/a": [redirect("b?x=1")], "/b": [redirect(f"{site.url}/c")], "/c": [answer(b"end")]}
    fetched = await fetch(f"{site.url}/a", ceiling=1000, settings=HERE)
    assert (fetched.url, fetched.content) == (f"{site.url}/c", b"end")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_an_inner_address_is_refused(site, status):
    site.pages["/"] = [redirect("http://10.1.2.3/admin", status)]
    error = await refused(f"{site.url}/")
    assert error.code == "url_not_allowed"
    assert "10.1.2.3" in error.message


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/", "data:text/plain,x", "http://me:pw@127.0.0.1/"]
)
async def test_a_redirect_to_what_is_not_fetched_is_refused(site, to):
    site.pages["/"] = [redirect(to)]
    error = await refused(f"{site.url}/")
    assert error.code == "url_not_allowed"
    assert "pw" not in error.message


@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_redirects_end_at_the_setting(site, allowed):
    site.pages |= {f"/{step}": [redirect(f"/{step + 1}")] for step in range(9)}
    site.pages[f"/{allowed}"] = [answer(b"end")]
    settings = attrs.evolve(HERE, fetch=attrs.evolve(HERE.fetch, redirects=allowed))
    assert (await fetch(f"{site.url}/0", ceiling=9, settings=settings)).content == b"end"
    site.pages[f"/{allowed}"] = [redirect(f"/{allowed + 1}")]
    assert (await refused(f"{site.url}/0", settings=settings)).code == "url_not_accessible"
    assert len(site.heads) == 2 * (allowed + 1)


async def test_an_address_that_grows_with_every_redirect_is_too_long_at_last(site):
    step = "a" * 3000 + "/"
    site.pages |= {f"/{step * number}": [redirect(step)] for number in range(6)}
    error = await refused(f"{site.url}/")
    assert error.code == "url_too_long"
    assert len(site.heads) == 3, "an address of more than 8192 characters was called"


async def test_of_a_field_that_comes_twice_the_first_counts(site):
    site.pages |= {
        "/a": [redirect("/b\r\nlocation: /c")],
        "/b": [answer(b"b", content_type="text/plain\r\ncontent-type: text/html")],
        "/c": [answer(b"c")],
    }
    fetched = await fetch(f"{site.url}/a", ceiling=9, settings=HERE)
    assert (fetched.content, fetched.media_type) == (b"b", "text/plain")


async def test_the_callers_sites_are_asked_about_at_every_hop(site):
    site.pages |= {"/a": [redirect("/b")], "/b": [answer(b"x")]}
    seen: list[str] = []

    def admits(url: str) -> bool:
        seen.append(url)
        return not url.endswith("/b")

    assert (await refused(f"{site.url}/a", admits=admits)).code == "url_not_allowed"
    assert seen == [f"{site.url}/a", f"{site.url}/b"]
    assert len(site.heads) == 1, "what is not admitted was called"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://u:p@example.com/", "url_not_allowed"),
        ("ftp://example.com/", "url_not_allowed"),
        ("file:///etc/passwd", "url_not_allowed"),
        ("http:///x", "url_not_allowed"),
        ("http://①.com/", "url_not_accessible"),
        ("http://example.com:99999/", "url_not_accessible"),
        ("http://exa\nmple.com/", "url_not_accessible"),
        ("http://" + "a" * 70 + ".com/", "url_not_accessible"),
        ("http://example.com/" + "a" * 8192, "url_too_long"),
    ],
)
async def test_addresses_that_cannot_be_called_are_refused(url, code):
    with resolving():
        assert (await refused(url)).code == code


async def test_a_host_that_does_not_exist_is_named():
    with resolving():
        error = await refused("http://nowhere.test/")
    assert (error.code, error.message) == ("url_not_accessible", "nowhere.test: there is no host of this name")


async def test_a_port_that_nobody_listens_on_is_told():
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        error = await refused(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert error.code == "url_not_accessible"
    assert "could not be connected to" in error.message


@pytest.mark.parametrize(
    "status",
    # The redirect says nothing of where to.
    ["404 Not Found", "500 Oh", "204 No Content", "206 Partial Content", "304 Not Modified", "302 Found"],
)
async def test_an_answer_without_the_thing_is_no_answer(site, status):
    site.pages["/"] = [answer(status=status)]
    error = await refused(f"{site.url}/")
    assert error.code == "url_not_accessible"
    assert status[:3] in error.message


@pytest.mark.parametrize(
    "rubbish", [b"SSH-2.0-OpenSSH\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"]
)
async def test_what_is_not_proper_http_is_refused(site, rubbish):
    site.pages["/"] = [rubbish]
    assert (await refused(f"{site.url}/")).code == "url_not_accessible"


async def test_the_type_is_judged_before_the_body_is_read(site):
    site.pages["/"] = [answer(b"", content_type="video/mp4", content_length="9"), math.inf]
    error = await refused(f"{site.url}/", accepts=lambda media_type: media_type == "image/png")
    assert error.code == "unsupported_content_type"
    assert "video/mp4" in error.message


@pytest.mark.parametrize("told", ["gzip", "BR", "identity, gzip", "identity\r\ncontent-encoding: gzip"])
async def test_a_compressed_body_is_refused(site, told):
    site.pages["/"] = [answer(b"\x1f\x8b", content_encoding=told)]
    assert (await refused(f"{site.url}/")).code == "unsupported_content_type"


async def test_a_body_of_exactly_the_ceiling_is_taken_and_one_byte_more_is_not(site):
    site.pages |= {"/fits": [answer(b"x" * 1000)], "/not": [answer(b"x" * 1001)]}
    assert len((await fetch(f"{site.url}/fits", ceiling=1000, settings=HERE)).content) == 1000
    assert (await refused(f"{site.url}/not")).code == "too_large"


async def test_a_declared_size_over_the_ceiling_is_refused_at_the_head(site):
    site.pages["/"] = [b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", math.inf]
    assert (await refused(f"{site.url}/")).code == "too_large"


async def test_a_body_without_a_declared_size_is_counted_as_it_arrives(site):
    endless: list[bytes | float] = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
    site.pages["/"] = endless + [b"2000\r\n" + b"x" * 0x2000 + b"\r\n"] * 5000
    assert (await refused(f"{site.url}/", ceiling=100_000)).code == "too_large"
    assert site.sent < 20_000_000, "the whole body was read"


@pytest.mark.parametrize(
    "steps",
    [[math.inf], [b"HTTP/1.1 200 OK\r\n", math.inf], [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", math.inf]],
    ids=["no head", "half a head", "half a body"],
)
async def test_a_site_that_is_too_slow_is_given_up(site, steps):
    site.pages["/"] = steps
    error = await refused(f"{site.url}/", settings=with_deadlines(fetch=0.2))
    assert (error.code, error.message) == ("url_not_accessible", "127.0.0.1 did not send it within 0.2 seconds")


async def test_slow_redirects_share_one_deadline(site):
    site.pages["/"] = [0.15, redirect("/")]
    settings = attrs.evolve(with_deadlines(fetch=0.4), fetch=attrs.evolve(HERE.fetch, redirects=1000))
    assert (await refused(f"{site.url}/", settings=settings)).code == "url_not_accessible"
    assert len(site.heads) < 5


async def gone(site: Site) -> None:
    with trio.fail_after(10):
        while site.gone < len(site.heads):  # noqa: ASYNC110 - the other side of a socket has no event
            await trio.sleep(0.005)


async def test_cancellation_closes_the_connection(site):
    site.pages["/"] = [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", math.inf]
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await fetch(f"{site.url}/", ceiling=1000, settings=HERE)

            nursery.start_soon(ask)
            with trio.fail_after(10):
                while not site.sent:  # noqa: ASYNC110 - the other side of a socket has no event
                    await trio.sleep(0.005)
            scope.cancel()
    await gone(site)


async def test_every_refusal_closes_the_connection(site):
    site.pages |= {"/large": [answer(b"x" * 5000), math.inf], "/type": [answer(b"", content_length="5"), math.inf]}
    await refused(f"{site.url}/large")
    await refused(f"{site.url}/type", accepts=lambda _: False)
    await gone(site)


@pytest.fixture
async def secure(nursery, monkeypatch) -> AsyncIterator[Site]:
    """A site with a certificate for files.test, from an authority that is trusted here."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("files.test").configure_cert(tls)

    def trusted(certificates: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    monkeypatch.setattr(fetching, "tls_context", trusted)
    return await Site(tls=tls).start(nursery)


async def test_https_is_held_against_the_name_that_was_asked_for(secure):
    secure.pages["/"] = [answer(b"x")]
    with resolving(files_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]]):
        fetched = await fetch(f"https://files.test:{secure.port}/", ceiling=9, settings=HERE)
        error = await refused(f"https://other.test:{secure.port}/")
    assert fetched.content == b"x"
    assert error.code == "url_not_accessible"
    assert "certificate is not trusted" in error.message
    assert len(secure.heads) == 1


async def test_https_from_an_unknown_authority_is_refused(secure, monkeypatch):
    monkeypatch.undo()
    with resolving(files_test=[["127.0.0.1"]]):
        error = await refused(f"https://files.test:{secure.port}/")
    assert "certificate is not trusted" in error.message
