"""What Responses alone has: stored responses that are continued, referred to, shown and deleted; an eager head."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
import trio
from support.dialects import RESPONSES
from support.sse import events_of, names_of
from support.stack import KEY

from kirotrio.simulator import DEMO_REFRESH_TOKEN

PATHS = pytest.mark.parametrize("path", [RESPONSES.path, RESPONSES.buffered], ids=["live", "buffered"])


async def ask(http: Any, text: Any = "Say hi", *, path: str = RESPONSES.path, **more: Any) -> Any:
    """A response that is not streamed."""
    answer = await http.post(path, json={**RESPONSES.question("x", **more), "input": text})
    assert answer.status_code == 200, answer.text
    assert RESPONSES.body_problems(answer.json()) == []
    return answer.json()


async def told(s: Any) -> list[str]:
    """What each generation was sent, as text."""
    return [
        orjson.dumps(r["body"]["conversationState"]).decode()
        for r in await s.requests()
        if "generateAssistantResponse" in r["path"]
    ]


@PATHS
@pytest.mark.parametrize("stream", [True, False])
async def test_a_stored_response_is_continued(stack, path, stream):
    async with stack() as s, s.client() as http:
        asked = RESPONSES.question('[[text="the first answer"]] the first question', stream=stream)
        answer = await http.post(path, json={**asked, "instructions": "be brief in the first"})
        first = events_of(answer.content)[-1]["response"] if stream else answer.json()
        assert first["store"] is True, "storing is what the API does unless told otherwise"
        second = await ask(http, "the second question", path=path, previous_response_id=first["id"])
        third = await ask(http, "the third question", path=path, previous_response_id=second["id"])
        assert third["previous_response_id"] == second["id"]
        sent = await told(s)
    for part in ("the first question", "the first answer", "the second question", "the third question"):
        assert part in sent[2], f"the third request lacks {part!r}"
    assert "be brief" in sent[0]
    assert "be brief" not in sent[1], "instructions hold for one request"


async def test_a_tool_round_trip_by_continuing(stack):
    tools = RESPONSES.question(tools=True)["tools"]
    async with stack() as s, s.client() as http:
        first = await ask(http, "[[scenario=tools tool=write_file]] x", tools=tools)
        (call,) = [item for item in first["output"] if item["type"] == "function_call"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "it was written"}
        second = await ask(http, [output], tools=tools, previous_response_id=first["id"])
        sent = await told(s)
    assert second["status"] == "completed"
    assert "it was written" in sent[1]
    assert "write_file" in sent[1]


async def test_items_of_stored_responses_can_be_referred_to(stack):
    async with stack() as s, s.client() as http:
        first = await ask(http, '[[text="what was said before"]] x')
        (item,) = [item for item in first["output"] if item["type"] == "message"]
        reference = {"type": "item_reference", "id": item["id"]}
        second = await ask(http, [{"role": "user", "content": "one"}, reference, {"role": "user", "content": "two"}])
        # What was referred to belongs to the second response as well: continuing that one brings it along.
        await http.delete(f"/v1/responses/{first['id']}")
        await ask(http, "three", previous_response_id=second["id"])
        sent = await told(s)
    assert "what was said before" in sent[1]
    assert "what was said before" in sent[2]


async def test_what_is_not_there_is_named(stack):
    async with stack() as s, s.client() as http:
        lost = await http.post("/v1/responses", json=RESPONSES.question(previous_response_id="resp_x"))
        item = [{"type": "item_reference", "id": "msg_x"}]
        lost_item = await http.post("/v1/responses", json={**RESPONSES.question(), "input": item})
        shown = await http.get("/v1/responses/resp_x")
        listed = await http.get("/v1/responses/resp_x/input_items")
        deleted = await http.delete("/v1/responses/resp_x")
        assert await told(s) == [], "nobody's subscription was used"
    assert lost.status_code == 404
    assert lost.json() == {
        "error": {
            "message": "Previous response with id 'resp_x' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }
    }
    assert lost_item.status_code == 404
    assert RESPONSES.error_of(lost_item.json())["message"] == "Item with id 'msg_x' not found."
    assert RESPONSES.error_of(lost_item.json())["param"] == "input"
    for answer in (shown, listed, deleted):
        assert answer.status_code == 404
        assert "resp_x" in RESPONSES.error_of(answer.json())["message"]


async def test_a_response_that_is_not_to_be_stored_is_not(stack):
    async with stack() as s, s.client() as http:
        for stream in (True, False):
            answer = await http.post("/v1/responses", json=RESPONSES.question(stream=stream, store=False))
            assert answer.status_code == 200
        assert len(s.gateway.responses) == 0


async def test_a_response_that_fails_is_not_stored(stack):
    async with stack() as s, s.client() as http:
        for path in (RESPONSES.path, RESPONSES.buffered):
            answer = await http.post(path, json=RESPONSES.question("[[events=6 cut_after=3]] x", stream=True))
            assert names_of(answer.content)[-1] == "response.failed"
        assert len(s.gateway.responses) == 0


async def test_an_incomplete_response_is_stored(stack):
    async with stack() as s, s.client() as http:
        asked = "[[events=3 exception=ContentLengthExceededException]] x"
        response = await ask(http, asked)
        assert response["status"] == "incomplete"
        await ask(http, "go on", previous_response_id=response["id"])


async def test_a_response_is_stored_before_its_client_sees_the_end(stack):
    async with stack() as s, s.client() as http:
        async with http.stream("POST", "/v1/responses", json=RESPONSES.question(stream=True)) as answer:
            seen = b""
            async for piece in answer.aiter_bytes():
                seen += piece
                if b"event: response.completed" in seen:
                    break
            assert len(s.gateway.responses) == 1


async def test_what_was_stored_is_shown_and_deleted(stack):
    async with stack() as s, s.client() as http:
        for prefix in ("", "/cc"):
            response = await ask(http)
            path = f"{prefix}/v1/responses/{response['id']}"
            assert (await http.get(path)).json() == response
            assert (await http.get(f"{path}?stream=true")).status_code == 400
            assert (await http.delete(path)).json() == {"id": response["id"], "object": "response", "deleted": True}
            assert (await http.get(path)).status_code == 404
            assert (await http.delete(path)).status_code == 404


async def test_input_items_are_paged(stack):
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": f"text {n}"} for n in range(5)]
    async with stack() as s, s.client() as http:
        path = f"/v1/responses/{(await ask(http, messages))['id']}/input_items"
        newest_first = (await http.get(path)).json()
        ids = [item["id"] for item in newest_first["data"]]
        assert len(set(ids)) == 5
        assert "text 4" in orjson.dumps(newest_first["data"][0]).decode()
        assert (newest_first["first_id"], newest_first["last_id"]) == (ids[0], ids[-1])
        assert newest_first["has_more"] is False
        page = (await http.get(f"{path}?order=asc&limit=2&after={ids[-1]}")).json()
        assert [item["id"] for item in page["data"]] == [ids[3], ids[2]]
        assert page["has_more"] is True
        for wrong in ("order=up", "limit=0", "limit=x", "limit=101", "after=nothing"):
            refused = await http.get(f"{path}?{wrong}")
            assert refused.status_code == 400
            assert RESPONSES.error_of(refused.json())["param"] == wrong.partition("=")[0]


async def test_no_caller_sees_anothers_responses(stack):
    """The account's owner, and two who share its key with a token of their own."""
    keys = [KEY, f"{KEY}:{DEMO_REFRESH_TOKEN}", f"{KEY}:{DEMO_REFRESH_TOKEN}x"]
    async with stack() as s, s.client() as http:
        for owner in keys[:2]:
            response = (
                await http.post("/v1/responses", json=RESPONSES.question(), headers={"x-api-key": owner})
            ).json()
            path = f"/v1/responses/{response['id']}"
            for key in keys:
                expected = 200 if key == owner else 404
                assert (await http.get(path, headers={"x-api-key": key})).status_code == expected
                asked = RESPONSES.question(previous_response_id=response["id"])
                if key != owner:
                    assert (await http.delete(path, headers={"x-api-key": key})).status_code == 404
                    refused = await http.post("/v1/responses", json=asked, headers={"x-api-key": key})
                    assert refused.status_code == 404
                    item = [{"type": "item_reference", "id": response["output"][0]["id"]}]
                    lost = await http.post("/v1/responses", json={**asked, "input": item}, headers={"x-api-key": key})
                    assert lost.status_code == 404
        lines = orjson.dumps(s.log.lines, default=str).decode()
    assert DEMO_REFRESH_TOKEN not in lines


async def test_what_was_not_used_for_longest_makes_place(stack):
    async with stack(responses={"max_memory": 40_000}) as s, s.client() as http:
        first = await ask(http, "x" * 15_000)
        second = await ask(http, "y" * 15_000)
        await http.get(f"/v1/responses/{first['id']}")
        await ask(http, "z" * 15_000)
        assert s.gateway.responses.size <= 40_000
        assert (await http.get(f"/v1/responses/{first['id']}")).status_code == 200
        assert (await http.get(f"/v1/responses/{second['id']}")).status_code == 404


async def test_nothing_is_kept_for_no_time(stack):
    async with stack(responses={"keep": 0}) as s, s.client() as http:
        response = await ask(http)
        assert (await http.get(f"/v1/responses/{response['id']}")).status_code == 404


async def read_until(stream: trio.SocketStream, wanted: bytes) -> bytes:
    received = b""
    with trio.fail_after(10):
        while wanted not in received:
            piece = await stream.receive_some(65536)
            assert piece, received
            received += piece
    return received


@PATHS
async def test_the_head_leaves_before_the_upstream_says_anything(stack, path):
    body = orjson.dumps(RESPONSES.question("[[first_ms=60000]] x", stream=True))
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    async with stack() as s, await trio.open_tcp_stream("127.0.0.1", s.port) as client:
        await client.send_all(head.encode() + body)
        received = await read_until(client, b"event: response.in_progress")
        assert received.startswith(b"HTTP/1.1 200")
        assert b"event: response.created" in received


@PATHS
async def test_the_openai_sdk_continues_and_deletes(stack, path):
    async with stack() as s:
        base = s.url + path.removesuffix("/responses")
        async with openai.AsyncOpenAI(api_key=KEY, base_url=base, max_retries=0) as client:
            first = await client.responses.create(model="claude-sonnet-4-5", input="hi")
            second = await client.responses.create(
                model="claude-sonnet-4-5", input="and now", previous_response_id=first.id
            )
            assert second.output_text
            assert (await client.responses.retrieve(first.id)).output_text == first.output_text
            assert [item.type async for item in client.responses.input_items.list(first.id)] == ["message"]
            await client.responses.delete(first.id)
            with pytest.raises(openai.NotFoundError) as caught:
                await client.responses.create(model="claude-sonnet-4-5", input="x", previous_response_id=second.id)
    assert caught.value.code == "previous_response_not_found"
