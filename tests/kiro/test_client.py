"""The one transport: what goes wrong on a network is one of our own errors, and every call takes the same way."""

from __future__ import annotations

import contextlib
import ssl

import pytest
import trio
import trustme
from support.servers import OK, saying, server, transport

from kirotrio.errors import DeadlineExceeded, SettingsError, UpstreamFailed
from kirotrio.kiro.client import tls_context


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


async def test_a_certificate_nobody_vouches_for_is_refused():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async def handler(stream: trio.SSLStream) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()

    for certificates in ("system", "bundled", "auto"):
        async with server(handler, tls) as (port, _), transport(certificates=certificates) as http:
            with pytest.raises(UpstreamFailed, match=r"certificate is not trusted: .*upstream\.certificates") as raised:
                await http.call("GET", f"https://127.0.0.1:{port}/", deadline=10)
            assert not raised.value.retryable, "the next attempt would find the same certificate"


def test_bundled_certificates_know_the_public_authorities():
    assert tls_context("bundled").cert_store_stats()["x509_ca"] > 50


async def test_a_system_without_roots_falls_back_to_the_bundled_ones(monkeypatch, tmp_path):
    empty = tmp_path / "none.pem"
    empty.touch()
    paths = ssl.DefaultVerifyPaths(str(empty), None, "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert tls_context("auto").cert_store_stats()["x509_ca"] > 50, "the bundled roots are not there"


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


async def test_a_cookie_of_one_account_is_not_sent_for_another():
    heads: list[bytes] = []

    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            heads.append(bytes(await stream.receive_some(65536)))
            await stream.send_all(b"HTTP/1.1 200 OK\r\nset-cookie: who=first\r\ncontent-length: 0\r\n\r\n")

    async with server(handler) as (port, _), transport() as http:
        for _ in range(2):
            await http.call("GET", f"http://127.0.0.1:{port}/", deadline=5)
    assert b"cookie" not in heads[1].lower()


@pytest.mark.parametrize(("method", "body"), [("POST", None), ("POST", b""), ("GET", None)])
async def test_a_post_without_a_body_says_so(method, body):
    heads: list[bytes] = []

    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            heads.append(bytes(await stream.receive_some(65536)).lower())
            await stream.send_all(OK)

    async with server(handler) as (port, _), transport() as http:
        await http.call(method, f"http://127.0.0.1:{port}/", body=body, deadline=5)
    assert heads[0].count(b"content-length: 0\r\n") == (method == "POST")


@pytest.mark.parametrize("leave", ["cancelled", "deadline"])
async def test_tls_that_is_not_agreed_on_leaves_no_connection(leave):
    begun, gone = trio.Event(), trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            begun.set()
            with contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some(65536):
                    pass
            gone.set()

    async with server(handler) as (port, nursery), transport(connect=0.3 if leave == "deadline" else 60) as http:
        with trio.CancelScope() as scope:

            async def cancel() -> None:
                await begun.wait()
                if leave == "cancelled":
                    scope.cancel()

            nursery.start_soon(cancel)
            with pytest.raises(UpstreamFailed, match="in time"):
                await http.call("GET", f"https://127.0.0.1:{port}/", deadline=60)
        with trio.fail_after(10):
            await gone.wait()
