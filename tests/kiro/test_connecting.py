"""How a connection to an address that needs no looking up is made."""

from __future__ import annotations

import errno
import socket

import pytest
import trio

from kirotrio.kiro.lines import Line

HOSTS = [pytest.param("127.0.0.1", id="IPv4"), pytest.param("::1", id="IPv6")]


def listening(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, 0), family=family, backlog=1)
    except OSError:
        pytest.skip(f"{host} is not to be had here")


@pytest.mark.parametrize("host", HOSTS)
async def test_a_numeric_address_is_connected_to_as_trio_does_it(host):
    with listening(host) as server:
        port = server.getsockname()[1]
        line = await Line.open(host, port)
        stream = await trio.open_tcp_stream(host, port)
        assert line.socket.getpeername()[1] == port
        assert not line.socket.getblocking()
        for level, name in [(socket.IPPROTO_TCP, "TCP_NODELAY"), (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT")]:
            if (option := getattr(socket, name, None)) is not None:
                assert line.socket.getsockopt(level, option) == stream.socket.getsockopt(level, option)
        line.close()
        await stream.aclose()


@pytest.mark.parametrize("host", HOSTS)
async def test_a_port_where_nobody_listens_refuses(host):
    with listening(host) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError) as refused:
        await Line.open(host, port)
    assert refused.value.errno == errno.ECONNREFUSED


async def test_a_connection_that_nobody_accepts_is_given_up_when_cancelled(monkeypatch):
    made: list[socket.socket] = []

    def unanswered(self: socket.socket, _: object) -> None:
        made.append(self)
        raise BlockingIOError

    async def never(_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(socket.socket, "connect", unanswered)
    monkeypatch.setattr(trio.lowlevel, "wait_writable", never)
    with trio.move_on_after(0.01) as scope:
        await Line.open("127.0.0.1", 9)
    assert scope.cancelled_caught
    assert [one.fileno() for one in made] == [-1]
