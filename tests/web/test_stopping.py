"""A stop in every state that a request can be in, and connections that their clients have left."""

from __future__ import annotations

import orjson
import pytest
import trio
from support.stack import KEY, question


def head(port: int, length: int) -> bytes:
    return (
        f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def rest_of(client: trio.SocketStream) -> bytes:
    received = bytearray()
    while piece := await client.receive_some(65536):
        received += piece
    return bytes(received)


async def test_a_request_that_is_still_coming_in_is_answered_to_its_end(stack):
    body = orjson.dumps(question("[[events=20 gap_ms=20]] x", stream=True))
    async with stack(server={"drain": 20}) as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head(s.port, len(body)) + body[:20])
        await s.wait_for_request()
        s.stop.ask()
        await s.gateway.draining.wait()
        await client.send_all(body[20:])
        answer = await rest_of(client)
    assert b"event: message_stop" in answer, "the answer of a request that had been taken was cut"
    assert answer.endswith(b"0\r\n\r\n"), "the body has no proper end"


async def test_what_comes_in_too_late_ends_legally(stack):
    body = orjson.dumps(question("[[stall_after=2]] x", stream=True))
    async with stack(server={"drain": 0.3}) as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head(s.port, len(body)) + body[:20])
        await s.wait_for_request()
        s.stop.ask()
        await trio.sleep(0.6)
        await client.send_all(body[20:])
        answer = await rest_of(client)
    assert b"overloaded_error" in answer


async def test_a_kept_connection_is_told_that_the_gateway_stops(stack):
    async with stack(server={"drain": 10}) as s, s.client() as http:
        assert (await http.get("/health")).status_code == 200
        async with http.stream("POST", "/v1/messages", json=question("[[events=60 gap_ms=40]] x", stream=True)) as busy:
            async with s.client() as other:
                assert (await other.get("/ready")).status_code == 200
                s.stop.ask()
                await s.gateway.draining.wait()
                refused = await other.post("/v1/messages", json=question())
                ready = await other.get("/ready")
            async for _ in busy.aiter_bytes():
                pass
    assert (refused.status_code, refused.json()["error"]["type"]) == (503, "overloaded_error")
    assert refused.headers["retry-after"]
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})


@pytest.mark.parametrize("ask", ["nothing", "health", "answer"])
async def test_a_connection_that_its_client_left_is_freed_at_once(stack, ask):
    requests = {
        "nothing": b"",
        "health": b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
        "answer": head(1, len(orjson.dumps(question()))) + orjson.dumps(question()),
    }
    async with stack() as s:
        for _ in range(20):
            async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
                if requests[ask]:
                    await client.send_all(requests[ask])
                    await client.receive_some(65536)
        with trio.move_on_after(30) as waiting:
            await trio.testing.wait_all_tasks_blocked(0.05)  # the last of them has been accepted
            await s.server.connections.wait_empty()
        assert not waiting.cancelled_caught, f"{len(s.server.connections)} of 20 connections are still held"


async def test_clients_that_leave_in_the_middle_of_a_refusal_do_no_harm(stack, capfd):
    async with stack(server={"max_body": 1000}) as s:

        async def rude() -> None:
            async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
                await client.send_all(head(s.port, 1_000_000) + b"x" * 100)
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            for _ in range(80):
                nursery.start_soon(rude)
        with trio.fail_after(20):
            await s.server.connections.wait_empty()
        assert s.gateway.inflight.held == 0
        assert s.log.events("error") == []
    assert "Traceback" not in capfd.readouterr().err


async def test_slashes_in_the_middle_are_an_unknown_path_and_no_redirect(stack):
    async with stack() as s, s.client() as http:
        answer = await http.post("/cc//v1/messages", json=question())
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


async def test_every_answer_names_its_request(stack):
    async with stack() as s, s.client() as http:
        answers = [
            await http.post("/v1/messages/count_tokens", json=question()),
            await http.get("/v1/models"),
            await http.get("/v1/models/claude-sonnet-4.5"),
            await http.get("/health"),
            await http.get("/"),
            await http.get("/nowhere"),
            await http.post("/v1/messages", json=question()),
        ]
    for answer in answers:
        assert answer.headers["request-id"] == answer.headers["x-request-id"], answer.url
    assert len({answer.headers["request-id"] for answer in answers}) == len(answers)


async def test_readiness_knows_an_account_that_cannot_serve(stack):
    async with stack() as s, s.client() as http:
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        assert (await http.get("/ready")).status_code == 200
        s.simulator.revoke("demo-social")
        assert (await http.post("/v1/messages", json=question())).status_code == 503
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "account unavailable"})


async def test_a_suspended_account_is_not_asked_again_until_a_person_acts(stack):
    async with stack() as s, s.client() as http:
        assert (await http.post("/v1/messages", json=question("[[status=TEMPORARILY_SUSPENDED]] x"))).status_code == 503
        assert (await http.get("/ready")).status_code == 503
        assert (await http.post("/v1/messages", json=question())).status_code == 503
        assert len(await s.sent()) == 1, "a locked account was asked once more"
        s.forgive()
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        assert (await http.get("/ready")).status_code == 200


async def test_bytes_of_a_body_are_given_back_once_it_is_read(stack):
    async with stack(server={"max_inflight": 50_000}) as s, s.client() as http:
        large = question("[[events=5 gap_ms=100]] " + "x" * 30_000, stream=True)
        async with http.stream("POST", "/v1/messages", json=large) as running:
            await anext(running.aiter_bytes())
            assert (await http.post("/v1/messages", json=question("y" * 30_000))).status_code == 200
        for _ in range(4):
            assert (await http.post("/v1/messages/count_tokens", json=question("z" * 30_000))).status_code == 200


async def test_a_path_counts_as_part_of_the_head(stack):
    async with stack() as s, s.client() as http:
        answer = await http.get("/" + "a" * 20_000)
    assert answer.status_code == 413


async def test_a_used_up_subscription_says_until_when(stack):
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question("[[status=402]] x"))
    assert answer.status_code == 429
    message = answer.json()["error"]["message"]
    assert "The next reset is at 20" in message
    assert int(answer.headers["retry-after"]) > 0


async def test_models_have_a_date_that_the_sdk_reads(stack):
    from datetime import datetime

    async with stack() as s, s.client() as http:
        models = (await http.get("/v1/models")).json()["data"]
    assert all(datetime.fromisoformat(model["created_at"]) for model in models)


async def test_a_fault_while_looking_after_the_accounts_does_not_end_the_gateway(stack, monkeypatch):
    from kirotrio.accounts.lending.pool import Pool

    async def broken(self, *args, **options):
        raise ValueError("a fault")

    monkeypatch.setattr(Pool, "write", broken)
    async with stack() as s, s.client() as http:
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await http.get("/health")).status_code == 200
        assert s.log.events("error") == ["looking at the accounts failed"]
