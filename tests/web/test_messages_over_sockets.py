"""The whole way, from socket to socket."""

from __future__ import annotations

import orjson
from support.sse import events_of, names_of, text_of
from support.stack import question


async def test_a_streamed_answer_is_a_complete_legal_stream(stack):
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question(stream=True))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    names = names_of(answer.content)
    assert names[0] == "message_start"
    assert names[-1] == "message_stop"
    assert text_of(answer.content)


async def test_the_buffered_head_carries_the_measured_count(stack):
    async with stack() as s, s.client() as http:
        body = question("[[context_pct=10]] hi", stream=True)
        buffered = await http.post("/cc/v1/messages", json=body)
        live = await http.post("/v1/messages", json=body)
        moved = await http.post("/v1/messages", json=body, headers={"X-Endpoint": "/cc/v1/messages"})
        other = await http.post("/v1/messages", json=body, headers={"X-Endpoint": "/elsewhere"})
    starts = [events_of(a.content)[0]["message"]["usage"]["input_tokens"] for a in (buffered, live, moved, other)]
    finals = [events_of(a.content)[-2]["usage"]["input_tokens"] for a in (buffered, live, moved, other)]
    assert finals == [20_000] * 4, "message_delta always carries the measured count"
    assert starts[0] == starts[2] == 20_000
    assert starts[1] == starts[3] != 20_000, "live mode begins with an estimate"


async def test_an_answer_without_streaming_is_one_body(stack):
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question())
    message = answer.json()
    assert message["type"] == "message"
    assert message["content"][0]["type"] == "text"
    assert message["stop_reason"] == "end_turn"
    assert answer.headers["x-kirotrio-usage"] == "measured"


async def test_count_tokens_is_marked_as_an_estimate(stack):
    async with stack() as s, s.client() as http:
        for prefix in ("/v1", "/cc/v1"):
            answer = await http.post(f"{prefix}/messages/count_tokens", json=question())
            assert answer.json()["input_tokens"] > 0
            assert answer.headers["x-kirotrio-usage"] == "estimate"


async def test_models_are_those_of_the_account(stack):
    async with stack() as s, s.client() as http:
        for prefix in ("/v1", "/cc/v1"):
            page = (await http.get(f"{prefix}/models?limit=1000")).json()
            assert "claude-sonnet-4.5" in [model["id"] for model in page["data"]]
            assert page["has_more"] is False
            one = (await http.get(f"{prefix}/models/claude-sonnet-4-5-20250929")).json()
            assert one["id"] == "claude-sonnet-4.5"
        missing = await http.get("/v1/models/no-such-model")
        assert missing.status_code == 404


async def test_small_requests_of_clients_are_answered(stack):
    async with stack() as s, s.client() as http:
        assert (await http.head("/")).status_code == 200
        assert (await http.get("/")).status_code == 200
        assert (await http.head("/api/hello")).status_code == 200
        assert (await http.post("/api/event_logging/batch", json={"events": []})).status_code == 200
        assert (await http.get("/health")).json() == {"status": "ok"}
        assert (await http.get("/ready")).json() == {"status": "ready"}


async def test_keys_are_read_from_both_headers(stack):
    from support.stack import KEY

    async with stack() as s, s.client(headers={"x-api-key": ""}) as http:
        for headers, status in [
            ({}, 401),
            ({"authorization": "Bearer wrong-key-of-some-length"}, 401),
            ({"authorization": f"Bearer {KEY}"}, 200),
            ({"authorization": f"bearer {KEY}"}, 200),
            ({"x-api-key": KEY}, 200),
            ({"x-api-key": "wrong", "authorization": f"Bearer {KEY}"}, 200),
            ({"x-api-key": KEY, "authorization": "Bearer wrong"}, 200),
        ]:
            answer = await http.post("/v1/messages", json=question(), headers=headers)
            assert answer.status_code == status, f"{headers} gave {answer.status_code}"
            if status == 401:
                assert answer.json()["error"]["type"] == "authentication_error"


async def test_a_callers_own_refresh_token_answers_with_its_account(stack):
    from support.stack import KEY

    from kirotrio.simulator import DEMO_REFRESH_TOKEN

    async with stack(accounts={"refresh_token": "", "api_key": "ksk_wrong"}) as s, s.client() as http:
        refused = await http.post("/v1/messages", json=question())
        assert refused.status_code == 503
        own = await http.post("/v1/messages", json=question(), headers={"x-api-key": f"{KEY}:{DEMO_REFRESH_TOKEN}"})
        assert own.status_code == 200
        again = await http.post("/v1/messages", json=question(), headers={"x-api-key": f"{KEY}:{DEMO_REFRESH_TOKEN}"})
        assert again.status_code == 200, (
            "the token that the client keeps sending has been rotated; its successor is kept"
        )


async def test_no_request_is_written_where_secrets_show(stack):
    from support.stack import KEY

    async with stack() as s, s.client() as http:
        await http.post("/v1/messages", json=question())
        await http.post("/v1/messages", json=question("[[status=403]] x"))
        lines = orjson.dumps(s.log.lines, default=str).decode()
    assert KEY not in lines
    assert "aoa" not in lines


async def test_more_requests_than_the_rate_allows_are_told_when_to_come_back(stack):
    async with stack(server={"rate_per_minute": 2}) as s, s.client() as http:
        answers = [await http.post("/v1/messages/count_tokens", json=question()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
