"""The one transport: what goes wrong on a network is one of our own errors, and every call takes the same way."""

from __future__ import annotations

import contextlib
import gc
import ssl
import warnings
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import quote

import pytest
import trio
import trustme
from support.proxies import PASSWORD, USER, HttpProxy, Socks5Proxy

from kirotrio.config.settings import DeadlineSettings, UpstreamSettings
from kirotrio.errors import DeadlineExceeded, SettingsError, UpstreamFailed
from kirotrio.kiro.client import Transport, tls_context

Handler = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None):
    """A server on a free port; yields the port and the nursery."""
    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
        else:
            listeners = await nursery.start(partial(trio.serve_ssl_over_tcp, handler, 0, tls, host="127.0.0.1"))
            port = listeners[0].transport_listener.socket.getsockname()[1]
        yield port, nursery
        nursery.cancel_scope.cancel()


def saying(answer: bytes) -> Handler:
    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(answer)

    return handler


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-Amzn-RequestId: r1\r\n\r\nok"


def transport(connect: float = 5, **upstream) -> Transport:
    return Transport(UpstreamSettings(**upstream), DeadlineSettings(connect=connect))


async def test_a_call_gives_status_headers_and_body():
    async with server(saying(OK)) as (port, _), transport() as http:
        answer = await http.call("POST", f"http://127.0.0.1:{port}/x", headers={"a": "b"}, body=b"{}", deadline=5)
    assert (answer.status, answer.headers["x-amzn-requestid"], answer.body) == (200, "r1", b"ok")


async def test_only_the_headers_that_were_given_are_sent():
    seen = bytearray()

    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            seen.extend(await stream.receive_some(65536))
            await stream.send_all(OK)

    async with server(handler) as (port, _), transport() as http:
        await http.call("GET", f"http://127.0.0.1:{port}/", headers={"user-agent": "kirotrio/1"}, deadline=5)
    head = bytes(seen).lower()
    assert b"user-agent: kirotrio/1\r\n" in head
    assert b"httpx" not in head, "the library names itself"
    assert b"accept-encoding" not in head, "a compressed stream would arrive in lumps"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"not http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-enc",
    ],
)
async def test_a_connection_that_breaks_is_retryable(answer):
    async with server(saying(answer)) as (port, _), transport() as http:
        with pytest.raises(UpstreamFailed) as raised:
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)
    assert raised.value.retryable
    assert "127.0.0.1" in raised.value.message


async def test_nobody_listening_says_which_host():
    async with transport() as http:
        with pytest.raises(UpstreamFailed, match="could not connect to 127\\.0\\.0\\.1"):
            await http.call("GET", "http://127.0.0.1:9/", deadline=5)


async def test_a_call_has_a_deadline():
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with server(silent) as (port, _), transport() as http:
        with pytest.raises(DeadlineExceeded, match="0\\.05 seconds"):
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=0.05)


async def test_an_answer_larger_than_any_should_be_is_not_held():
    async def endless(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(b"x" * 65536)

    async with server(endless) as (port, _), transport() as http:
        with pytest.raises(UpstreamFailed, match="more than"):
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=20)


async def test_an_address_that_is_none_names_what_would_be_right():
    async with transport() as http:
        with pytest.raises(SettingsError, match="http://"):
            await http.call("GET", "ftp://x/", deadline=5)


@pytest.mark.parametrize("kind", [HttpProxy, Socks5Proxy])
async def test_calls_go_through_the_proxy_with_its_password(kind):
    scheme = "socks5" if kind is Socks5Proxy else "http"
    async with server(saying(OK)) as (port, nursery):
        proxy = kind()
        proxy_port = await proxy.start(nursery)
        address = f"{scheme}://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy_port}"
        async with transport(proxy_url=address) as http:
            assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).body == b"ok"
        assert proxy.asked == [f"127.0.0.1:{port}"]
        async with transport(proxy_url=address, no_proxy="127.0.0.0/8") as http:
            assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).body == b"ok"
        assert len(proxy.asked) == 1, "an excepted host went through the proxy"


@pytest.mark.parametrize("kind", [HttpProxy, Socks5Proxy])
async def test_tls_goes_through_the_proxy(kind, monkeypatch, tmp_path):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    scheme = "socks5" if kind is Socks5Proxy else "http"
    async with server(saying(OK), tls) as (port, nursery):
        proxy = kind()
        proxy_port = await proxy.start(nursery)
        address = f"{scheme}://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy_port}"
        async with transport(proxy_url=address, certificates="system") as http:
            assert (await http.call("GET", f"https://127.0.0.1:{port}/", deadline=10)).body == b"ok"
        assert proxy.asked == [f"127.0.0.1:{port}"]


@pytest.fixture
def collected():
    """Sees to it that what a test left to the collector is collected, and its warning ignored, within that test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("collected")  # the HTTP library leaves the socket of a failed SOCKS greeting open
@pytest.mark.parametrize("kind", [HttpProxy, Socks5Proxy])
async def test_a_wrong_proxy_password_is_an_error_without_the_password(kind):
    scheme = "socks5" if kind is Socks5Proxy else "http"
    async with server(saying(OK)) as (port, nursery):
        proxy = kind()
        proxy_port = await proxy.start(nursery)
        async with transport(proxy_url=f"{scheme}://me:secret-word@127.0.0.1:{proxy_port}") as http:
            if kind is HttpProxy:  # a plain call through an HTTP proxy gets the proxy's own answer
                assert (await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)).status == 407
            else:
                with pytest.raises(UpstreamFailed) as raised:
                    await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)
                assert "secret-word" not in raised.value.message
        assert proxy.refused == 1


def test_a_proxy_address_that_is_none_names_the_setting():
    with pytest.raises(SettingsError, match=r"upstream\.proxy_url") as raised:
        transport(proxy_url="carrier-pigeon://me:secret-word@x")
    assert "secret-word" not in raised.value.message


async def test_a_certificate_nobody_vouches_for_is_refused():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async def handler(stream: trio.SSLStream) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()

    for certificates in ("system", "bundled", "auto"):
        async with server(handler, tls) as (port, _), transport(certificates=certificates) as http:
            with pytest.raises(UpstreamFailed, match=r"(?i)certificate"):
                await http.call("GET", f"https://127.0.0.1:{port}/", deadline=10)


def test_bundled_certificates_know_the_public_authorities():
    assert tls_context("bundled").cert_store_stats()["x509_ca"] > 50


async def test_a_system_without_roots_falls_back_to_the_bundled_ones(monkeypatch, tmp_path):
    empty = tmp_path / "none.pem"
    empty.touch()
    paths = ssl.DefaultVerifyPaths(str(empty), None, "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert tls_context("auto").cert_store_stats()["x509_ca"] > 50, "the bundled roots are not there"


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 500 no\r\n\r\n", b"\x00garbage"])
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as above
async def test_a_proxy_that_speaks_no_socks_is_an_error_of_ours(reply):
    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(100)
            if reply:
                await stream.send_all(reply)

    async with server(handler) as (port, _), transport(proxy_url=f"socks5://me:pw@127.0.0.1:{port}") as http:
        with pytest.raises(UpstreamFailed, match=r"proxy|broke|connect"):
            await http.call("GET", "http://127.0.0.1:9/", deadline=5)


@pytest.mark.parametrize("token", ["aoaSECRET\nmore", "aoaSECRET…", "aoaSECRET\x00"])
async def test_a_token_that_no_header_can_carry_is_not_quoted(token):
    async with server(saying(OK)) as (port, _), transport() as http:
        with pytest.raises(UpstreamFailed) as raised:
            await http.call(
                "GET", f"http://127.0.0.1:{port}/", headers={"authorization": f"Bearer {token}"}, deadline=5
            )
    shown: BaseException | None = raised.value
    while shown is not None:
        assert "SECRET" not in str(shown), "the token stands in the error, or in what it came from"
        shown = shown.__cause__
