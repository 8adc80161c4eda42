"""Calls through each kind of proxy: what arrives, what is refused and how, and that nothing is left open."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
import trio
import trustme
from support.proxies import HttpProxy, Proxy, Socks5Proxy
from support.servers import OK, saying, server, transport

from kirotrio.errors import DeadlineExceeded, Recovery, SettingsError, UpstreamFailed
from kirotrio.kiro import client
from kirotrio.kiro.proxies import parse_proxy

LAST = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
"""The answer of a server that says that it closes."""

KINDS = ["http", "https", "socks5"]


@pytest.fixture
def tls(monkeypatch, tmp_path) -> ssl.SSLContext:
    """What a server on 127.0.0.1 and far.invalid needs for TLS; the system trusts its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "far.invalid").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    return context


@asynccontextmanager
async def proxied(kind: str, tls: ssl.SSLContext, *, secure: bool = False, **options: Any):
    """A target, a proxy of this kind that knows it as far.invalid, and the target's address by that name."""
    async with server(saying(LAST), tls if secure else None) as (port, nursery):
        proxy = made(kind, tls, **options)
        await proxy.start(nursery)
        proxy.names["far.invalid"] = ("127.0.0.1", port)
        yield proxy, f"{'https' if secure else 'http'}://far.invalid:{port}/x"


def made(kind: str, tls: ssl.SSLContext, **options: Any) -> Proxy:
    return Socks5Proxy(**options) if kind == "socks5" else HttpProxy(tls if kind == "https" else None, **options)


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in_pieces"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", KINDS)
async def test_calls_go_through_the_proxy_with_its_password(kind, secure, pieces, tls):
    async with proxied(kind, tls, secure=secure, pieces=pieces) as (proxy, url):
        async with transport(proxy_url=proxy.url(), certificates="system") as http:
            assert (await http.call("GET", url, deadline=10)).body == b"ok"
            assert (await http.call("POST", url, body=b"{}", deadline=10)).body == b"ok"
        assert [name.split(":")[0] for name in proxy.asked] == ["far.invalid"] * 2


@pytest.mark.parametrize("kind", KINDS)
async def test_each_call_may_name_its_own_proxy_or_none(kind, tls):
    async with proxied("http", tls) as (common, url), proxied(kind, tls) as (own, own_url):
        port = url.rpartition(":")[2].removesuffix("/x")
        async with transport(proxy_url=common.url(), certificates="system") as http:
            await http.call("GET", url, deadline=10)
            assert (len(common.asked), len(own.asked)) == (1, 0)
            await http.call("GET", own_url, deadline=10, proxy_url=own.url())
            assert (len(common.asked), len(own.asked)) == (1, 1)
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=10, proxy_url="")
            assert (len(common.asked), len(own.asked)) == (1, 1), "a call without proxy went through one"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [False, True], ids=["settings", "account"])
async def test_excepted_hosts_are_called_directly(kind, own, tls):
    async with proxied(kind, tls) as (proxy, url):
        port = url.rpartition(":")[2].removesuffix("/x")
        settings = {} if own else {"proxy_url": proxy.url()}
        async with transport(**settings, no_proxy="10.0.0.0/8, 127.0.0.0/8", certificates="system") as http:
            proxy_url = proxy.url() if own else None
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=10, proxy_url=proxy_url)
            assert not proxy.asked, "an excepted host went through the proxy"
            await http.call("GET", url, deadline=10, proxy_url=proxy_url)
            assert len(proxy.asked) == 1


async def test_the_usual_port_counts_where_an_exception_names_it(tls):
    async with transport(proxy_url="http://127.0.0.1:9", no_proxy="127.0.0.1:443", connect=1) as http:
        with pytest.raises(UpstreamFailed, match=r"could not connect to 127\.0\.0\.1"):
            await http.call("GET", "https://127.0.0.1/", deadline=5)


async def test_ipv6_addresses_go_through_socks_as_addresses(tls):
    async with proxied("socks5", tls) as (proxy, _):
        proxy.names["[2001:0db8:0000:0000:0000:0000:0000:0001]"] = proxy.names["far.invalid"]
        async with transport(proxy_url=proxy.url()) as http:
            assert (await http.call("GET", "http://[2001:db8::1]/", deadline=5)).body == b"ok"


async def test_both_spellings_of_socks_leave_names_to_the_proxy(tls):
    async with proxied("socks5", tls) as (proxy, url):
        for scheme in ("socks5", "socks5h"):
            async with transport(proxy_url=proxy.url(scheme=scheme)) as http:
                assert (await http.call("GET", url, deadline=5)).body == b"ok"


@pytest.mark.parametrize("kind", [1, 3, 4])
async def test_a_socks_answer_may_name_any_kind_of_address(kind, tls):
    async with proxied("socks5", tls, pieces=True) as (proxy, url):
        proxy.kind = kind
        async with transport(proxy_url=proxy.url()) as http:
            assert (await http.call("GET", url, deadline=5)).body == b"ok"


async def failing(address: str, url: str, proxy_url: str | None = None, **options: Any) -> UpstreamFailed:
    async with transport(proxy_url=address, certificates="system", **options) as http:
        with pytest.raises(UpstreamFailed) as raised:
            await http.call("GET", url, deadline=30, proxy_url=proxy_url)
    return raised.value


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_password_names_the_setting_and_not_the_password(kind, secure, tls):
    async with proxied(kind, tls, secure=secure) as (proxy, url):
        error = await failing(proxy.url(password="secret-word"), url)
        assert f"127.0.0.1:{proxy.port} refuses the user and password" in error.message
        assert "upstream.proxy_url" in error.message
        assert error.recovery is Recovery.NONE, "asking again with the same password locks accounts at proxies"
        error = await failing("", url, proxy.url(password="secret-word"))
        assert "the account's proxy address" in error.message
        assert not said_anywhere(error, "secret-word")
        assert proxy.refused == 2


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_missing_password_is_asked_for(kind, secure, tls):
    async with proxied(kind, tls, secure=secure) as (proxy, url):
        error = await failing(proxy.url(user=""), url)
    assert "demands a sign-in" in error.message
    assert "percent-encoded, into upstream.proxy_url" in error.message


async def test_a_sign_in_that_is_no_password_is_named(tls):
    async with proxied("http", tls, secure=True) as (proxy, url):
        proxy.challenge = b"NTLM"
        error = await failing(proxy.url(user=""), url)
    assert "wants a sign-in of the kind NTLM" in error.message


def said_anywhere(error: BaseException | None, word: str) -> bool:
    while error is not None:
        if word in str(error) or word in repr(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@pytest.mark.parametrize(
    ("reply", "words", "recovery"),
    [
        (1, "failed by itself", Recovery.RETRY),
        (2, "rules do not allow", Recovery.NONE),
        (4, "does not know the name", Recovery.RETRY),
        (5, "refused", Recovery.RETRY),
        (99, "reason 99", Recovery.RETRY),
    ],
)
async def test_what_a_socks_proxy_refuses_is_said_with_its_reason(reply, words, recovery, tls):
    async with proxied("socks5", tls) as (proxy, url):
        proxy.reply = reply
        error = await failing(proxy.url(), url)
    assert "did not connect to far.invalid" in error.message
    assert words in error.message
    assert error.recovery is recovery


@pytest.mark.parametrize(
    ("status", "recovery"), [("403 Forbidden", Recovery.NONE), ("502 Bad Gateway", Recovery.RETRY), ("299 x", None)]
)
async def test_what_an_http_proxy_refuses_is_said_with_its_status(status, recovery, tls):
    answer = f"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {status}\r\n\r\n".encode()
    async with server(saying(answer)) as (port, _):
        error = await failing(f"http://127.0.0.1:{port}", "https://far.invalid/")
    if recovery is None:
        assert "proxy" not in error.message, "every 2xx opens a tunnel"
    else:
        assert f"did not connect to far.invalid: it answered {status}" in error.message
        assert error.recovery is recovery


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 500 no\r\n\r\n", b"\x00garbage", b"\x05", b"\x05\x00\x04\x00\x00\x01"]
)
async def test_a_proxy_that_speaks_no_socks_is_an_error_of_ours(reply):
    async with server(saying(reply)) as (port, _):
        error = await failing(f"socks5://me:pw@127.0.0.1:{port}", "http://far.invalid/")
    assert f"the proxy 127.0.0.1:{port}" in error.message


@pytest.mark.parametrize("reply", [b"", b"\x05\xff", b"HTTP/1.1 200", b"x" * 100_000, OK])
async def test_a_proxy_that_speaks_no_http_is_an_error_of_ours(reply):
    async with server(saying(reply)) as (port, _):
        error = await failing(f"http://127.0.0.1:{port}", "https://far.invalid/")
    assert f"the proxy 127.0.0.1:{port}" in error.message


async def test_a_proxy_that_speaks_no_tls_is_said_to():
    async with server(saying(OK)) as (port, _):
        error = await failing(f"https://127.0.0.1:{port}", "https://far.invalid/")
    assert f"the proxy 127.0.0.1:{port} does not speak TLS" in error.message


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_proxy_with_a_strange_certificate_is_not_trusted(secure, tls, monkeypatch, tmp_path):
    roots = tmp_path / "others.pem"
    trustme.CA().cert_pem.write_to_path(str(roots))
    async with proxied("https", tls, secure=secure) as (proxy, url):
        monkeypatch.setenv("SSL_CERT_FILE", str(roots))
        error = await failing(proxy.url(), url)
    assert f"the proxy 127.0.0.1:{proxy.port} has a certificate that is not trusted" in error.message
    assert "upstream.certificates" in error.message
    assert not proxy.asked


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_at_the_proxys_address_says_so(kind):
    error = await failing(f"{kind}://me:secret-word@127.0.0.1:9", "https://far.invalid/")
    assert "the proxy 127.0.0.1:9 could not be connected to" in error.message
    assert error.recovery is Recovery.RETRY


@pytest.mark.parametrize(
    ("kind", "place"),
    [("http", "tcp"), ("http", "connect"), ("https", "tcp"), ("https", "connect")]
    + [("socks5", place) for place in ("tcp", "sign_in", "connect")],
)
@pytest.mark.parametrize("how", ["connect deadline", "call deadline", "cancelled"])
async def test_a_proxy_that_hangs_is_left_and_its_connection_closed(kind, place, how, tls):
    async with proxied(kind, tls, secure=True, hangs_at=place) as (proxy, url), AsyncExitStack() as stack:
        connect = 0.3 if how == "connect deadline" else 60
        http = await stack.enter_async_context(transport(connect=connect, proxy_url=proxy.url(), certificates="system"))
        nursery = await stack.enter_async_context(trio.open_nursery())
        with trio.fail_after(30), trio.CancelScope() as scope:
            if how == "cancelled":
                nursery.start_soon(after, proxy.hanging, scope.cancel)
                await http.call("GET", url, deadline=60)
            elif how == "call deadline":
                with pytest.raises(DeadlineExceeded):
                    await http.call("GET", url, deadline=0.3)
            else:
                with pytest.raises(UpstreamFailed, match=r"the proxy .* within 0\.3 seconds"):
                    await http.call("GET", url, deadline=60)
        with trio.fail_after(10):
            await proxy.gone.wait()
        assert not http._through._pool.open, "the pool keeps a place for a connection that is none"


async def after(event: trio.Event, act: Callable[[], object]) -> None:
    await event.wait()
    act()


async def test_the_pools_of_proxies_are_bounded_and_those_in_use_stay(tls, monkeypatch):
    monkeypatch.setattr(client, "_MOST_ROUTES", 2)
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(proxied("socks5", tls)) for _ in range(4)]
        async with transport() as http:
            first, url = ways[0]
            async with http.stream("GET", url, headers={}, proxy_url=first.url()) as held:
                for proxy, its_url in ways[1:]:
                    await http.call("GET", its_url, deadline=5, proxy_url=proxy.url())
                assert set(http._own) == {first.url(), ways[3][0].url()}, "not the one that was used longest ago went"
                assert await held.read(100) == b"ok", "a connection in use was closed"
        for proxy, _ in ways:
            with trio.fail_after(30):
                await proxy.gone.wait()


async def test_the_proxy_that_was_used_longest_ago_goes_first(tls, monkeypatch):
    monkeypatch.setattr(client, "_MOST_ROUTES", 2)
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(proxied("socks5", tls)) for _ in range(3)]
        async with transport() as http:
            for number in (0, 1, 0, 2):
                proxy, url = ways[number]
                await http.call("GET", url, deadline=5, proxy_url=proxy.url())
            assert set(http._own) == {ways[0][0].url(), ways[2][0].url()}


def test_a_wrong_address_names_the_setting_and_shows_nothing():
    for address in (
        "carrier-pigeon://me:secret-word@x",
        "http://me:secret-word@",
        "http://me:secret-word/2@proxy:8080",
        "http://me:12/secret-word@proxy:8080",
        "http://me:secret-word@proxy:99999",
        "http://me%3Ayou:secret-word@proxy",
        "socks5://me:secret-word@pro xy",
        f"socks5://me:{'secret-word' * 30}@proxy",
    ):
        with pytest.raises(SettingsError, match=r"^upstream\.proxy_url: ") as raised:
            transport(proxy_url=address)
        assert not said_anywhere(raised.value, "secret-word"), address


@pytest.mark.parametrize("secret", ["p@ss", "p%zz", "p%", "p%4", "a@b:c", "%G0"])
@pytest.mark.parametrize("place", ["me:{}", "{}:word", "{}"])
def test_what_is_not_percent_encoded_is_refused_with_what_to_do(place, secret):
    with pytest.raises(SettingsError, match=r"^upstream\.proxy_url: .* percent-encoded \(@ is %40") as raised:
        transport(proxy_url=f"http://{place.format(secret)}@127.0.0.1:1")
    assert not said_anywhere(raised.value, secret)
    encoded = quote(secret, safe="")
    assert parse_proxy(f"http://me:{encoded}@127.0.0.1:1").password == secret.encode()


async def test_a_wrong_address_of_an_account_is_an_error_at_its_calls(tls):
    async with transport() as http:
        with pytest.raises(SettingsError, match=r"^the account's proxy address: "):
            await http.call("GET", "http://far.invalid/", deadline=5, proxy_url="gopher://me:secret-word@x")
