"""What holds for every dialect, live and buffered, streamed and not, from socket to socket."""

from __future__ import annotations

import gc
import importlib
import threading
from collections import Counter
from types import FunctionType

import orjson
import pytest
import trio
import trio.testing
from check_sse import SDK
from support.dialects import ALL, ANTHROPIC, CHAT, RESPONSES, Spoken

from kirotrio.relay.request import LARGE

PATHS = [
    pytest.param(spoken, path, id=f"{spoken.kind}-{mode}")
    for spoken in ALL
    for mode, path in (("live", spoken.path), ("buffered", spoken.buffered))
]


def test_the_validator_has_the_sdks_models_at_work():
    assert {spoken.kind for spoken in ALL} <= {kind for kind, there in SDK.items() if there}


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_text_is_streamed_and_whole(stack, spoken: Spoken, path):
    async with stack() as s, s.client() as http:
        streamed = await http.post(path, json=spoken.question("[[context_pct=10]] x", stream=True))
        whole = await http.post(path, json=spoken.question("[[context_pct=10]] x"))
    assert streamed.status_code == whole.status_code == 200, streamed.text + whole.text
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.headers["cache-control"] == "no-cache, no-transform"
    assert streamed.headers["request-id"] == streamed.headers["x-request-id"] != ""
    assert whole.headers["content-type"] == "application/json"
    assert whole.headers["x-kirotrio-usage"] == "measured"
    assert spoken.problems(streamed.content) == []
    assert spoken.body_problems(whole.json()) == []
    said, told = spoken.read(streamed.content), spoken.read_body(whole.json())
    assert said.text
    assert said.text == told.text
    assert said.stop == told.stop == "stop"
    assert said.usage == told.usage
    assert said.usage[0] == 20_000, "ten percent of a window of 200000"


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_an_answer_leaves_nothing_that_only_the_collector_frees(stack, spoken: Spoken, path):
    """The gateway's collector looks seldom (`cli.collector`); cycles would be memory that comes and goes."""
    async with stack() as s, s.client() as http:

        async def ask() -> None:
            for controls in ("events=3", "status=400", "cut_after=2"):
                for stream in (False, True):
                    answered = await http.post(path, json=spoken.question(f"[[{controls}]] x", stream=stream))
                    assert (answered.status_code == 200) >= (controls == "events=3"), answered.text

        await ask()
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            gc.set_debug(gc.DEBUG_SAVEALL)
            await ask()
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            left = Counter(whose for one in gc.garbage if (whose := _where_made(one)))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == {}


def _where_made(one: object) -> str:
    """Of what our own modules have made, its type or name; "" for the simulator's and the client's."""
    made = one if isinstance(one, FunctionType) else type(one)
    ours = made.__module__.startswith("kirotrio.") and not made.__module__.startswith("kirotrio.simulator.")
    return f"{made.__module__}.{made.__qualname__}" if ours else ""


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_thinking_is_shown_apart_from_the_text(stack, spoken: Spoken, path):
    async with stack() as s, s.client() as http:
        asked = {**spoken.question("[[scenario=thinking]] x"), **spoken.thinking()}
        streamed = await http.post(path, json={**asked, "stream": True})
        whole = await http.post(path, json=asked)
    assert spoken.problems(streamed.content) == []
    assert spoken.body_problems(whole.json()) == []
    said, told = spoken.read(streamed.content), spoken.read_body(whole.json())
    assert said.thinking
    assert said.text
    assert said.thinking not in said.text
    assert (said.thinking, said.text) == (told.thinking, told.text)


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_tool_calls_arrive_whole(stack, spoken: Spoken, path):
    async with stack() as s, s.client() as http:
        asked = spoken.question("[[scenario=parallel-tools tool=write_file]] x", tools=True)
        streamed = await http.post(path, json={**asked, "stream": True})
        whole = await http.post(path, json=asked)
    assert spoken.problems(streamed.content) == []
    assert spoken.body_problems(whole.json()) == []
    said, told = spoken.read(streamed.content), spoken.read_body(whole.json())
    assert len(said.calls) > 1
    assert [call[1:] for call in said.calls] == [call[1:] for call in told.calls]
    assert {name for _, name, _ in said.calls} == {"write_file"}
    assert len({call_id for call_id, _, _ in said.calls}) == len(said.calls)
    assert said.stop == told.stop == "tool_calls"


REFUSALS = [
    ("429", (429, "rate_limit_error"), (429, "rate_limit_exceeded", "rate_limit_exceeded")),
    ("MONTHLY_REQUEST_COUNT", (429, "rate_limit_error"), (429, "insufficient_quota", "insufficient_quota")),
    (
        "CONTENT_LENGTH_EXCEEDS_THRESHOLD",
        (400, "invalid_request_error"),
        (400, "invalid_request_error", "context_length_exceeded"),
    ),
    ("500", (529, "overloaded_error"), (503, "server_error", "overloaded")),
]


@pytest.mark.parametrize(("spoken", "path"), PATHS)
@pytest.mark.parametrize("stream", [True, False])
async def test_upstream_refusals_are_http_errors_of_the_dialect(stack, spoken: Spoken, path, stream):
    async with stack(relay={"attempts": 1}) as s, s.client() as http:
        for reason, anthropics, openais in REFUSALS:
            answer = await http.post(path, json=spoken.question(f"[[status={reason}]] x", stream=stream))
            assert answer.headers["content-type"] == "application/json"
            error = spoken.error_of(answer.json())
            if spoken is ANTHROPIC:
                assert (answer.status_code, error["type"]) == anthropics, answer.text
            else:
                assert (answer.status_code, error["type"], error["code"]) == openais, answer.text
            assert answer.headers["request-id"]
            if reason == "429":
                assert int(answer.headers["retry-after"]) > 0
            s.forgive()


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_what_never_reaches_an_endpoint_is_refused_in_its_dialect(stack, spoken: Spoken, path):
    async with stack(server={"max_body": 5000}) as s, s.client() as http:
        for answer, status in [
            (await http.post(path, json=spoken.question("x" * 6000)), 413),
            (await http.post(path, json=spoken.question(), headers={"x-api-key": "wrong"}), 401),
            (await http.post(path, json=spoken.question(), headers={"x-long": "y" * 20_000}), 413),
            (await http.put(path, json=spoken.question()), 405),
            (await http.post(path + "/no/such/thing", json=spoken.question()), 404),
            (await http.post(path, content=b"{"), 400),
            (await http.post(path, content=b"[]"), 400),
            (await http.post(path, json={"model": 7}), 400),
            (await http.post(path, json=spoken.question(model="claude-nonsense-9")), 404),
        ]:
            assert answer.status_code == status, answer.text
            error = spoken.error_of(answer.json())
            if status == 401 and spoken is not ANTHROPIC:
                assert error["code"] == "invalid_api_key"
            assert len(error["message"]) > 10
        s.gateway.draining.set()
        draining = await http.post(path, json=spoken.question())
    assert draining.status_code == 503
    assert spoken.error_of(draining.json())
    assert int(draining.headers["retry-after"]) > 0


async def test_a_path_with_a_dialect_of_its_own_goes_by_no_header(stack):
    async with stack() as s, s.client(headers={"anthropic-version": "2023-06-01"}) as http:
        for spoken in (CHAT, RESPONSES):
            assert spoken.error_of((await http.post(spoken.path, content=b"{")).json())
    async with stack() as s, s.client() as http:
        assert ANTHROPIC.error_of((await http.post(ANTHROPIC.path, content=b"{")).json())


async def test_an_unknown_path_names_all_three_apis(stack):
    async with stack() as s, s.client() as http:
        message = (await http.get("/v2/something")).json()["error"]["message"]
        front = (await http.get("/")).json()
    for spoken in ALL:
        assert spoken.path in message
        assert spoken.path in front.values()


async def test_an_unknown_model_is_answered_with_those_there_are(stack):
    async with stack() as s, s.client() as http:
        for spoken in (CHAT, RESPONSES):
            answer = await http.post(spoken.path, json=spoken.question(model="claude-nonsense-9"))
            error = spoken.error_of(answer.json())
            assert (error["code"], error["param"]) == ("model_not_found", "model")
            assert "claude-sonnet-4.5" in error["message"]


BREAKS = [
    "events=6 cut_after=3",
    "events=6 corrupt=crc",
    "events=6 corrupt=json",
    "events=6 exception=throttlingException",
]


@pytest.mark.parametrize(("spoken", "path"), PATHS)
@pytest.mark.parametrize("fault", BREAKS)
async def test_a_failure_in_the_middle_is_a_legal_end(stack, spoken: Spoken, path, fault):
    async with stack() as s, s.client() as http:
        answer = await http.post(path, json=spoken.question(f"[[{fault}]] x", stream=True))
        whole = await http.post(path, json=spoken.question(f"[[{fault}]] x"))
    assert whole.status_code >= 429
    assert spoken.error_of(whole.json())
    if answer.status_code == 200:
        assert spoken.problems(answer.content) == []
        assert spoken.read(answer.content).error, "a broken answer must not pretend to be whole"
    else:
        assert path == spoken.buffered, "where text has left, the status has been 200"
        assert spoken is not RESPONSES, "its head leaves at once"
        assert spoken.error_of(answer.json())


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_a_failure_that_passes_is_not_seen_in_the_buffered_mode(stack, spoken: Spoken, path):
    async with stack() as s, s.client() as http:
        asked = spoken.question("[[events=4 corrupt=crc fail_first=1]] x", stream=True)
        answer = await http.post(path, json=asked)
    assert answer.status_code == 200
    assert spoken.problems(answer.content) == []
    assert bool(spoken.read(answer.content).error) is (path == spoken.path)


@pytest.mark.parametrize("spoken", [CHAT, RESPONSES], ids=["chat", "responses"])
async def test_the_session_header_keeps_one_conversation_together(stack, spoken: Spoken):
    async with stack() as s, s.client() as http:
        for session, text in [("one", "first"), ("one", "second"), ("two", "first")]:
            await http.post(spoken.path, json=spoken.question(text), headers={"session-id": session})
        sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
    first, second, other = (r["body"]["conversationState"]["conversationId"] for r in sent)
    assert first == second != other


@pytest.mark.parametrize("spoken", ALL, ids=[spoken.kind for spoken in ALL])
async def test_the_default_of_thinking_is_a_setting(stack, spoken: Spoken):
    for default in (True, False):
        async with stack(thinking={"default": default}) as s, s.client() as http:
            await http.post(spoken.path, json=spoken.question())
            sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
        assert ("<thinking_mode>" in str(sent[0]["body"])) is default


@pytest.mark.parametrize("spoken", ALL, ids=[spoken.kind for spoken in ALL])
async def test_large_bodies_are_decoded_beside_the_loop_and_let_go(stack, spoken: Spoken, monkeypatch):
    surface = {"anthropic": "messages", "chat": "chat", "responses": "responses"}[spoken.kind]
    module = importlib.import_module(f"kirotrio.web.api.{surface}")
    name = {"anthropic": "decode_request", "chat": "decode_chat", "responses": "decode_responses"}[spoken.kind]
    decode, held = getattr(module, name), []
    in_loop = []

    def recording(*args, **options):
        in_loop.append(threading.current_thread() is threading.main_thread())
        return decode(*args, **options)

    monkeypatch.setattr(module, name, recording)
    async with stack() as s, s.client() as http:
        await http.post(spoken.path, json=spoken.question())
        async with http.stream(
            "POST", spoken.path, json=spoken.question("word " * (LARGE // 4), stream=True)
        ) as answer:
            held.append(s.gateway.inflight.held)
            await answer.aread()
    assert in_loop == [True, False], "small bodies on the spot, large ones in a thread"
    assert held == [0], "the bytes of a body that was decoded are not held for as long as its answer takes"


async def test_the_moving_header_is_anthropics_alone(stack):
    async with stack() as s, s.client() as http:
        answers = [
            await http.post(
                spoken.path,
                json=spoken.question(f"[[events=4 corrupt=crc fail_first=1]] {spoken.kind}", stream=True),
                headers={"X-Endpoint": "/cc/v1/messages"},
            )
            for spoken in ALL
        ]
    failed = [bool(spoken.read(answer.content).error) for spoken, answer in zip(ALL, answers, strict=True)]
    assert failed == [False, True, True]


@pytest.mark.parametrize(("spoken", "path"), PATHS)
async def test_a_stop_ends_what_runs_with_a_legal_error(stack, spoken: Spoken, path):
    head_leaves_at_once = path == spoken.path or spoken is RESPONSES
    body, status = b"", 0
    async with stack(server={"drain": 0.2}) as s, s.client() as http:
        begun = trio.Event()

        async def ask() -> None:
            nonlocal body, status
            asked = spoken.question("[[stall_after=2]] x", stream=True)
            async with http.stream("POST", path, json=asked) as answer:
                status = answer.status_code
                async for piece in answer.aiter_bytes():
                    body += piece
                    begun.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with trio.fail_after(10):
                await (begun.wait() if head_leaves_at_once else s.wait_for_stream())
            s.stop.ask()
    if head_leaves_at_once:
        assert status == 200
        assert spoken.problems(body) == []
        assert spoken.read(body).error
    else:
        assert status == 503
        assert spoken.error_of(orjson.loads(body))
