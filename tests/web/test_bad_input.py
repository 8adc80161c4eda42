"""Bad input gets a clear error, in the dialect's envelope, and nothing is held that need not be."""

from __future__ import annotations

import trio
from support.stack import KEY, question


def assert_envelope(answer, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert "Traceback" not in answer.text
    return str(body["error"]["message"])


async def test_malformed_bodies_say_where_and_what_would_be_right(stack):
    async with stack() as s, s.client() as http:
        for body, path in [
            (b"{", ""),
            (b"[]", ""),
            (b'{"model": "claude-sonnet-4-5", "messages": []}', "m"),
            (b'{"model": 7, "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}', "model"),
            (
                b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
                "messages.0",
            ),
        ]:
            message = assert_envelope(await http.post("/v1/messages", content=body), 400, "invalid_request_error")
            assert message.startswith(path), message


async def test_unknown_paths_and_methods_answer_in_the_envelope(stack):
    async with stack() as s, s.client() as http:
        assert_envelope(await http.get("/v1/messages/nothing"), 404, "not_found_error")
        message = assert_envelope(await http.get("/v1/messages"), 405, "invalid_request_error")
        assert "POST" in message


async def test_unknown_models_are_answered_with_those_there_are(stack):
    async with stack() as s, s.client() as http:
        message = assert_envelope(
            await http.post("/v1/messages", json=question(model="claude-nonsense-9")), 404, "not_found_error"
        )
        assert "claude-sonnet-4.5" in message


async def test_a_body_that_declares_too_much_is_refused(stack):
    async with stack(server={"max_body": 10_000}) as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question("x" * 20_000))
        assert_envelope(answer, 413, "request_too_large")
        assert (await http.post("/v1/messages", json=question())).status_code == 200, "the gateway goes on"


async def test_a_chunked_body_is_counted_as_it_arrives(stack):
    async def pieces():
        for _ in range(50):
            yield b"x" * 10_000

    async with stack(server={"max_body": 100_000}) as s, s.client() as http:
        answer = await http.post("/v1/messages", content=pieces())
        assert_envelope(answer, 413, "request_too_large")


async def test_more_bytes_in_flight_than_allowed_get_503(stack):
    async with stack(server={"max_inflight": 50_000}) as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question("x" * 60_000))
        message = assert_envelope(answer, 503, "overloaded_error")
        assert "retry-after" in answer.headers
        assert "server.max_inflight" in message
        assert (await http.post("/v1/messages", json=question())).status_code == 200, "what was held is given back"


async def test_a_head_that_is_too_large_is_refused_in_the_envelope(stack):
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question(), headers={"x-long": "y" * 20_000})
        assert_envelope(answer, 413, "request_too_large")


async def test_garbage_instead_of_http_is_refused_and_closed(stack):
    async with stack() as s:
        async with await trio.open_tcp_stream("127.0.0.1", s.port) as stream:
            await stream.send_all(b"\x16\x03\x01 not http at all\r\n\r\n")
            with trio.fail_after(30):
                head = await stream.receive_some(4096)
                while await stream.receive_some(4096):
                    pass
        assert b" 400 " in head.split(b"\r\n")[0]


async def test_large_bodies_are_answered_and_do_not_hold_up_others(stack):
    async with stack() as s, s.client() as http:
        answers = {}

        async def ask(name: str, body) -> None:
            answers[name] = await http.post("/v1/messages/count_tokens", json=body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "large", question("word " * 400_000))
            nursery.start_soon(ask, "small", question())
    assert answers["large"].json()["input_tokens"] > 300_000
    assert answers["small"].status_code == 200


async def test_errors_never_show_the_key_that_was_sent(stack):
    async with stack() as s, s.client(headers={"x-api-key": KEY + "x"}) as http:
        answer = await http.post("/v1/messages", json=question())
        assert answer.status_code == 401
        assert KEY not in answer.text
