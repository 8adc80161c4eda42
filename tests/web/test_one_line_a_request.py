"""Every request leaves one line in the log, whatever became of it, and no secret and nothing of its body is in it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from support.stack import KEY, Stack, question, running

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.store.request_endings import CLIENT_GONE
from kirotrio.store.request_record import RequestRecord

CANARY = "canary-b7d1"
WRONG_KEY = f"sk-kt-{CANARY}-0123456789"


def lines(stack: Stack, *, all_levels: bool = False) -> list[dict[str, Any]]:
    levels = ("debug", "info", "warning", "error") if all_levels else ("info", "warning", "error")
    return [fields for level, event, fields in stack.log.lines if event == "request finished" and level in levels]


async def until_lines(stack: Stack, count: int) -> list[dict[str, Any]]:
    with trio.fail_after(10):
        while len(lines(stack)) < count:  # noqa: ASYNC110 - the end of a connection has no event here
            await trio.sleep(0.01)
    await trio.testing.wait_all_tasks_blocked(0.02)
    return lines(stack)


def recorded(stack: Stack) -> list[RequestRecord]:
    """What is recorded from now on."""
    records: list[RequestRecord] = []
    object.__setattr__(stack.gateway.relay, "record", records.append)
    return records


REFUSED = [
    ("POST", "/v1/messages", {"x-api-key": WRONG_KEY}, question(), 401, "authentication", "messages"),
    ("POST", "/v1/messages", {}, {"model": CANARY, "messages": CANARY}, 400, "body_invalid", "messages"),
    ("POST", "/cc/v1/messages", {}, {"messages": [{"role": CANARY}]}, 400, "body_invalid", "messages"),
    ("POST", "/v1/chat/completions", {}, {"messages": [CANARY]}, 400, "body_invalid", "chat"),
    ("POST", "/v1/responses", {}, {"input": [{"type": CANARY}]}, 400, "body_invalid", "responses"),
    ("GET", "/v1/responses/resp_none", {}, None, 404, "not_found", "responses"),
    ("GET", "/v1/models/none", {}, None, 404, "not_found", "models"),
    ("GET", "/v1/messages", {}, None, 405, "method_not_allowed", "messages"),
    ("POST", "/v1/messages", {"content-encoding": "br"}, question(), 400, "body_invalid", "messages"),
    ("GET", "/nowhere", {}, None, 404, "not_found", "other"),
    ("GET", "/v1/anything", {}, None, 404, "not_found", "other"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status", "cause", "surface"), REFUSED)
async def test_a_refused_request_leaves_one_line(
    tmp_path: Path,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    status: int,
    cause: str,
    surface: str,
) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        content = None if body is None else orjson.dumps(body)
        answer = await http.request(method, path, content=content, headers=headers)
        assert answer.status_code == status, answer.text
        (line,) = await until_lines(stack, 1)
        counts = dict(stack.gateway.relay.metrics.requests)
    assert (line["status"], line["outcome"], line["surface"]) == (status, cause, surface)
    assert line["request_id"] == answer.headers["request-id"]
    assert counts == {(surface, "", "refused", cause): 1}
    assert CANARY not in repr(stack.log.lines)
    assert KEY not in repr(stack.log.lines)


async def test_what_is_answered_leaves_one_line_on_each_surface(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        asked = [{"role": "user", "content": CANARY}]
        body = {"model": "claude-sonnet-4.5", "max_tokens": 500, "messages": asked}
        for path, sent in (
            ("/v1/messages", body),
            ("/v1/messages", {**body, "stream": True}),
            ("/cc/v1/messages", {**body, "stream": True}),
            ("/v1/messages/count_tokens", body),
            ("/v1/chat/completions", body),
            ("/v1/responses", {"model": body["model"], "input": CANARY}),
        ):
            answer = await http.post(path, json=sent)
            assert answer.status_code == 200, answer.text
        assert (await http.get("/v1/models")).status_code == 200
        for path in ("/health", "/ready", "/"):
            await http.get(path)
        seen = await until_lines(stack, 7)
        everything = lines(stack, all_levels=True)
    assert [line["surface"] for line in seen] == [
        "messages",
        "messages",
        "messages",
        "count_tokens",
        "chat",
        "responses",
        "models",
    ]
    assert [line["status"] for line in everything] == [200] * 10
    assert all(line["key"] == "test" for line in seen)
    assert CANARY not in repr(stack.log.lines)


async def test_a_request_that_fails_upstream_leaves_one_line(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        for text in ("[[status=400]]", "[[exception=InternalServerException]]", "[[cut_after=1]]"):
            await http.post("/v1/messages", json=question(text, stream=True))
        seen = await until_lines(stack, 3)
    assert len(seen) == 3
    assert all(line["error"] for line in seen)


@pytest.mark.parametrize("moment", ["body", "answer"])
async def test_a_client_that_leaves_leaves_one_line(tmp_path: Path, moment: str) -> None:
    async with running(tmp_path) as stack:
        body = orjson.dumps(question("[[stall_after=2]]", stream=True))
        length = len(body) + (100 if moment == "body" else 0)
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", stack.port)) as client:
            client.sendall(head.encode() + body)
            await (stack.wait_for_request() if moment == "body" else stack.wait_for_stream())
        (line,) = await until_lines(stack, 1)
        counts = dict(stack.gateway.relay.metrics.requests)
    assert (line["outcome"], line["surface"], line["key"]) == (CLIENT_GONE, "messages", "test")
    assert [(key[0], key[2]) for key in counts] == [("messages", CLIENT_GONE)]


async def test_an_answer_that_a_stop_ends_leaves_one_line(tmp_path: Path) -> None:
    async with (
        running(tmp_path, server={"drain": 0.0}) as stack,
        stack.client() as http,
        trio.open_nursery() as nursery,
    ):

        async def ask() -> None:
            await http.post("/v1/messages", json=question("[[stall_after=2]]", stream=True))

        nursery.start_soon(ask)
        await stack.wait_for_stream()
        stack.stop.ask()
        (line,) = await until_lines(stack, 1)
    assert line["outcome"] == "overloaded"


async def test_refused_requests_of_strangers_are_not_recorded_and_of_others_not_without_end(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        records = recorded(stack)
        for _ in range(3):
            await http.post("/v1/messages", json=question(), headers={"x-api-key": WRONG_KEY})
            await http.get("/nowhere")
        assert records == []
        for _ in range(100):
            await http.post("/v1/messages", json={"messages": CANARY}, headers={"user-agent": "agent/1"})
        seen = await until_lines(stack, 106)
    assert len(seen) == 106
    assert 60 <= len(records) < 100
    assert {(one.outcome, one.status, one.key_id, one.client, one.error) for one in records} == {
        ("body_invalid", 400, "test", "agent/1", "")
    }


async def test_what_has_no_endpoint_of_its_own_has_one_id_and_one_line(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        answer = await http.get("/v1/models/claude-sonnet-4.5")
        (line,) = await until_lines(stack, 1)
    assert line["request_id"] == answer.headers["request-id"]
    assert line["status"] == 200


async def test_a_line_names_a_key_that_was_given_out_beside_its_id(tmp_path: Path) -> None:
    async with running(tmp_path) as stack:
        made = await stack.gateway.keys.create(COMMAND_LINE, "laptop")
        async with stack.client(headers={"x-api-key": made.secret}) as http:
            assert (await http.post("/v1/messages", json=question())).status_code == 200
            assert (await http.post("/v1/messages", json={"messages": []})).status_code == 400
        answered, refused = await until_lines(stack, 2)
    assert [(line["key"], line["key_name"]) for line in (answered, refused)] == [(made.record.id, "laptop")] * 2
    assert made.secret not in repr(stack.log.lines)
