"""However many ask for a token at one moment, in however many processes, it is refreshed once."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import trio
from support.engines import Place
from support.forks import Nest
from support.gateways import ready, until, world
from support.several import kept
from support.stack import KEY, question

MANY = 200
EACH = 15


async def status_of(url: str, request: str, body: bytes = b"") -> int:
    """By hand: a client library would cost more than the gateway."""
    head = f"{request} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        await stream.send_all(head.encode() + body)
        answer = b"".join([piece async for piece in stream])
    return int(answer.split(b" ", 2)[1])


async def ask_all(urls: list[str], times: int) -> list[int]:
    """The statuses of so many requests to each, all at one time."""
    statuses: list[int] = []
    body = orjson.dumps(question())

    async def ask(url: str) -> None:
        statuses.append(await status_of(url, "POST /v1/messages", body))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for url in urls * times:
                nursery.start_soon(ask, url)
    return statuses


async def knows_an_account(url: str) -> None:
    with trio.fail_after(30):
        while await status_of(url, "GET /ready") != 200:  # noqa: ASYNC110 - another process has no event here
            await trio.sleep(0.01)


async def test_two_hundred_requests_at_the_moment_of_expiry_make_one_refresh(tmp_path: Path) -> None:
    account = kept("work", row={"expires_at": time.time() - 1})
    async with world(tmp_path, account, store={"look_every": 0.01}) as w:
        # The service takes its time, and fails first: all meet a refresh under way.
        gateway = await w.gateway()
        w.simulator.fail_next("/refreshToken", "INTERNAL", delay=0.5)
        await w.keep(account)
        await until(lambda: gateway.pool.present())
        assert set(await ask_all([gateway.url], MANY)) == {200}
        assert w.refreshes == ["rotated"]
        # The same where nobody saw it coming.
        w.simulator.expire_access_tokens()
        assert set(await ask_all([gateway.url], 20)) == {200}
        assert w.refreshes == ["rotated"] * 2


async def test_two_processes_make_one_refresh(place: Place, nest: Nest) -> None:
    account = kept("work", row={"expires_at": time.time() - 1})
    async with world(place.data_dir, account, url=place.url) as w:
        urls = [await ready(process) for process in (w.start(nest), w.start(nest))]
        w.simulator.fail_next("/refreshToken", "INTERNAL", delay=0.3)  # so that both are in the middle of it
        await w.keep(account)
        for url in urls:
            await knows_an_account(url)
        assert set(await ask_all(urls, EACH)) == {200}
        assert w.refreshes == ["rotated"]
        # The same where the upstream refuses a token that nobody took for used up.
        w.simulator.expire_access_tokens()
        assert set(await ask_all(urls, EACH)) == {200}
        assert w.refreshes == ["rotated"] * 2


async def test_a_token_that_one_gateway_refreshed_is_used_by_all_at_once(place: Place) -> None:
    account = kept("work")
    async with world(place.data_dir, account, url=place.url, store={"look_every": 0.05}) as w:
        await w.keep(account)
        gateways = [await w.gateway() for _ in range(3)]
        urls = [gateway.url for gateway in gateways]
        assert set(await ask_all(urls, 1)) == {200}
        first = gateways[0].member().account
        await first.refused(account.account.access_token)
        assert w.refreshes == ["rotated"]
        await until(lambda: len({gateway.member().account.expires_at for gateway in gateways}) == 1)
        # The token before counts no more; nobody notices, and nobody refreshes again.
        w.simulator.revoke(account.account.access_token)
        assert set(await ask_all(urls, 2)) == {200}
        assert w.refreshes == ["rotated"]
