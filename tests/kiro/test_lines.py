"""TLS towards the upstream, against trio's own at the other end."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest
import trio
import trio.testing
import trustme
from support.servers import OK, server, transport

from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.lines import Line, SecureLine


@pytest.fixture
def authority(monkeypatch, tmp_path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    return authority


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def tls(request, authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[request.param]
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_connection_with_tls_carries_one_call_after_the_other(tls):
    met = 0

    async def serve(stream: trio.SSLStream) -> None:
        nonlocal met
        met += 1
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some(65536):
                await stream.send_all(OK)

    async with server(serve, tls) as (port, _), transport(certificates="system") as http:
        for _ in range(5):
            assert (await http.call("POST", f"https://127.0.0.1:{port}/", body=b"{}", deadline=10)).body == b"ok"
    assert met == 1


async def test_many_records_of_one_read_are_one_piece(tls, authority):
    sent = trio.Event()

    async def serve(stream: trio.SSLStream) -> None:
        await stream.do_handshake()
        for number in range(100):
            await stream.send_all(b"%03d" % number)
        sent.set()
        await trio.sleep_forever()

    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with server(serve, tls) as (port, _):
        line = SecureLine(await Line.open("127.0.0.1", port), client, "127.0.0.1")
        with trio.fail_after(10):
            await line.agree()
            await sent.wait()
            pieces = [await line.receive_some()]
            while len(b"".join(pieces)) < 300:
                pieces.append(await line.receive_some())
        line.close()
    assert b"".join(pieces) == b"".join(b"%03d" % number for number in range(100))
    assert len(pieces) < 5, "a record at a time"


@pytest.mark.parametrize("size", [0, 1, 16_384, 300_000, 3_000_000])
async def test_bodies_pass_both_ways_whole(tls, size):
    body = bytes(range(251)) * (size // 251) + b"y" * (size % 251)

    async def echo(stream: trio.SSLStream) -> None:
        got = bytearray()
        while got.partition(b"\r\n\r\n")[2] != body or b"\r\n\r\n" not in got:
            got += await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + body)

    async with server(echo, tls) as (port, _), transport(certificates="system") as http:
        assert (await http.call("POST", f"https://127.0.0.1:{port}/", body=body, deadline=30)).body == body


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize(("head", "whole"), [(b"", True), (b"content-length: 9\r\n", False)])
async def test_an_end_is_an_end_whether_tls_says_so_or_not(tls, says_so, head, whole):
    async def leave(stream: trio.SSLStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nhalf")
        if says_so:
            await stream.aclose()
        else:
            await trio.aclose_forcefully(stream.transport_stream)

    async with server(leave, tls) as (port, _), transport(certificates="system") as http:
        if whole:
            assert (await http.call("GET", f"https://127.0.0.1:{port}/", deadline=10)).body == b"half"
        else:
            with pytest.raises(UpstreamFailed, match="broke") as raised:
                await http.call("GET", f"https://127.0.0.1:{port}/", deadline=10)
            assert raised.value.retryable


async def test_a_name_that_the_certificate_does_not_hold_is_refused(tls):
    async def serve(stream: trio.SSLStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.do_handshake()

    async with server(serve, tls) as (port, _), transport(certificates="system") as http:
        with pytest.raises(UpstreamFailed, match="its certificate is not trusted"):
            await http.call("GET", f"https://localhost:{port}/", deadline=10)


async def test_leaving_a_connection_with_tls_closes_it_at_once(tls):
    gone = trio.Event()

    async def serve(stream: trio.SSLStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.receive_some(65536)
        gone.set()

    async with server(serve, tls) as (port, _), transport(certificates="system") as http:
        with trio.CancelScope() as scope:
            async with http.stream("GET", f"https://127.0.0.1:{port}/", headers={}) as stream:
                assert await stream.receive() == b"half"
                scope.cancel()
                await stream.receive()
        with trio.fail_after(10):
            await gone.wait()


@pytest.mark.parametrize("together", [True, False])
async def test_what_is_encrypted_is_taken_at_once_too_and_its_end_is_seen(tls, together):
    async def answer(stream: trio.SSLStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        for number in range(2):
            await trio.testing.wait_all_tasks_blocked(0.005)
            await stream.send_all(b"%d" % number)
        await trio.testing.wait_all_tasks_blocked(0.005)
        stream._ssl_object.write(b"2")
        if not together:
            await stream.transport_stream.send_all(stream._outgoing.read())
            await trio.testing.wait_all_tasks_blocked(0.005)
        with pytest.raises(ssl.SSLWantReadError):
            stream._ssl_object.unwrap()
        await stream.transport_stream.send_all(stream._outgoing.read())
        await trio.sleep_forever()  # TLS is at its end, the connection is not

    taken: list[bytes] = []
    async with server(answer, tls) as (port, tasks), transport(certificates="system") as http:
        tasks.start_soon(http.run)
        async with http.stream("GET", f"https://127.0.0.1:{port}/", headers={}) as stream:
            with trio.fail_after(10):
                assert await stream.receive(lambda piece: not taken.append(piece)) == b""
    assert taken == [b"0", b"1", b"2"]


async def test_a_key_that_is_agreed_on_anew_is_answered_while_pieces_are_taken_at_once(authority):
    """In place of a new key, which the library cannot ask for: whatever TLS has to say is said before the next wait."""
    near, far = (trio.socket.from_stdlib_socket(one) for one in socket.socketpair())
    line = SecureLine(Line(near._sock), ssl.create_default_context(), "127.0.0.1")
    assert not line.withholds
    with pytest.raises(ssl.SSLWantReadError):
        line._tls.do_handshake()
    assert line.withholds
    await line._flush()
    assert not line.withholds
    assert await far.recv(100)
    line.close()
    far.close()
