"""Headers, settings and bodies reach the rooms that they are meant for."""

from __future__ import annotations

import pytest
import trio
from support.stack import KEY, question


def conversations(requests: list[dict]) -> list[dict]:
    return [r["body"]["conversationState"] for r in requests if "generateAssistantResponse" in r["path"]]


async def test_the_session_header_keeps_one_conversation_together(stack):
    async with stack() as s, s.client() as http:
        for session, text in [("one", "first"), ("one", "second"), ("two", "first")]:
            await http.post("/v1/messages", json=question(text), headers={"x-claude-code-session-id": session})
        first, second, other = (c["conversationId"] for c in conversations(await s.requests()))
    assert first == second != other


@pytest.mark.parametrize(("default", "asked"), [(True, True), (False, False)])
async def test_the_default_of_thinking_is_a_setting(stack, default, asked):
    async with stack(thinking={"default": default}) as s, s.client() as http:
        await http.post("/v1/messages", json=question(max_tokens=8000))
        (sent,) = conversations(await s.requests())
    assert ("<thinking_mode>" in str(sent)) is asked


async def test_thinking_is_shown_to_those_who_are_known_to_take_it(stack):
    body = question("[[scenario=thinking]] x", max_tokens=8000)
    beta = {"anthropic-beta": "some-2026-01-01, interleaved-thinking-2025-05-14"}
    async with stack() as s, s.client() as http:
        plain = (await http.post("/v1/messages", json=body)).json()
        knowing = (await http.post("/v1/messages", json=body, headers=beta)).json()
        asking = (await http.post("/v1/messages", json={**body, "thinking": {"type": "enabled"}})).json()
    assert plain["content"][0]["text"], "content[0].text has to work for those who do not know thinking"
    assert knowing["content"][0]["type"] == asking["content"][0]["type"] == "thinking"


async def test_counting_needs_nobodys_subscription(stack):
    async with stack(accounts={"refresh_token": ""}) as s, s.client() as http:
        counted = await http.post("/v1/messages/count_tokens", json=question())
        ready = await http.get("/ready")
        answer = await http.post("/v1/messages", json=question())
    assert counted.status_code == 200
    assert ready.status_code == 503
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "api_error"


async def test_a_body_that_does_not_come_has_a_deadline(stack):
    async with stack(deadlines={"prepare": 0.2}) as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 100\r\n\r\nhalf"
        await client.send_all(head.encode())
        with trio.fail_after(10):
            answer = await client.receive_some(65536)
    assert answer.startswith(b"HTTP/1.1 504 "), answer[:80]


async def test_chunked_bodies_count_against_all_that_is_held(stack):
    async def pieces():
        for _ in range(20):
            yield b"x" * 10_000

    async with stack(server={"max_inflight": 100_000}) as s, s.client() as http:
        answer = await http.post("/v1/messages", content=pieces())
        assert answer.status_code == 503
        assert (await http.post("/v1/messages", json=question())).status_code == 200


async def test_head_requests_have_no_body(stack):
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = b""
        while piece := await client.receive_some(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n"), "a body followed the head"


async def test_large_bodies_are_decoded_beside_the_loop(stack, monkeypatch):
    import threading

    from kirotrio.web.api import messages

    threads = []

    def recording(*args, decode=messages.decode_request, **options):
        threads.append(threading.current_thread() is threading.main_thread())
        return decode(*args, **options)

    monkeypatch.setattr(messages, "decode_request", recording)
    async with stack() as s, s.client() as http:
        await http.post("/v1/messages", json=question())
        await http.post("/v1/messages", json=question("word " * 500_000))
    assert threads == [True, False], "small bodies on the spot, large ones in a thread"
