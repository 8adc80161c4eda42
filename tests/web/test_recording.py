"""The flight recorder over real sockets: what is kept, what is not, and that it can be played again."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from support.dialects import ANTHROPIC, CHAT, RESPONSES, Spoken
from support.stack import KEY, Stack, question, running

from kirotrio.simulator import DEMO_REFRESH_TOKEN
from kirotrio.store.ring import entries
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.comparing import difference
from kirotrio.web.replaying import NotReplayable, replay

WHOLE = [
    "Say hi",
    "[[scenario=thinking]] think",
    "[[scenario=native-thinking]] think",
    "[[scenario=tools]] use them",
    "[[scenario=parallel-tools]] use them",
    "[[scenario=long events=300]] much",
    "[[events=20 split=7]] in pieces",
]
BROKEN = [
    "[[scenario=empty]] nothing",
    "[[events=9 cut_after=4]] cut",
    "[[events=9 corrupt=crc]] damaged",
    "[[events=9 corrupt=json]] damaged",
    "[[status=400]] refused",
    "[[status=500 fail_first=1]] once more",
    "[[exception=ThrottlingException]] in the stream",
]
CANARY = "Kanarienvogel in Gelb 4711"


async def recordings(stack: Stack, count: int) -> list[dict[str, Any]]:
    """All there are, the newest first, once there are so many."""
    folder = stack.surroundings.data_dir / "recorder"
    with trio.fail_after(10):
        while len(entries(folder)) < count:  # noqa: ASYNC110 - what a thread does has no event here
            await trio.sleep(0.01)
    return [orjson.loads(entry.path.read_bytes()) for entry in entries(folder)]


@pytest.mark.parametrize("texts", ["keep", "mask"])
@pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT, RESPONSES], ids=lambda dialect: dialect.kind)
async def test_every_scenario_plays_again_to_the_same_bytes(tmp_path: Path, dialect: Spoken, texts: str) -> None:
    recorder = {"requests": 1000, "texts": texts}
    async with running(tmp_path, recorder=recorder) as stack:
        wanted: dict[str, tuple[str, httpx.Response]] = {}
        async with stack.client() as http:
            asked = [
                (one, path, stream)
                for one in WHOLE
                for path in (dialect.path, dialect.buffered)
                for stream in (True, False)
            ]
            for scenario, path, stream in [*asked, *((one, dialect.path, True) for one in BROKEN)]:
                stack.forgive()
                answer = await http.post(path, json=dialect.question(scenario, stream=stream, tools=True))
                wanted[answer.headers["request-id"]] = (f"{scenario} {path} {stream}", answer)
        for recording in await recordings(stack, len(wanted)):
            told, answer = wanted[recording["id"]]
            today = await replay(recording, RecordingLog())
            assert today.status == answer.status_code, told
            then, now = recording["answer"]["body"], today.body.decode()
            assert difference(then, now, masked=texts == "mask") == [], told
            if texts == "keep":
                assert then == answer.text, told


@pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT, RESPONSES], ids=lambda dialect: dialect.kind)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_whose_client_left_is_the_same_as_far_as_it_stayed(
    tmp_path: Path, dialect: Spoken, stream: bool
) -> None:
    async with running(tmp_path, recorder={"requests": 10}) as stack, stack.client() as http:
        body = dialect.question("[[events=40 stall_after=20]] much", stream=stream)

        async def leave_at_the_first_delta() -> None:
            async with http.stream("POST", dialect.path, json=body) as answer:
                async for line in answer.aiter_lines():
                    if "delta" in line:
                        break

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave_at_the_first_delta)
            await stack.wait_for_stream()
            if not stream:
                await trio.sleep(0.5)  # some of what it would be answered with has come, or nothing: both are to hold
                nursery.cancel_scope.cancel()
        (recording,) = await recordings(stack, 1)
    assert recording["record"]["outcome"] == "client gone"
    then, today = recording["answer"]["body"], await replay(recording, RecordingLog())
    assert difference(then, today.body.decode(), masked=True, left=True) == []


async def test_what_is_kept_with_its_secrets_taken_out_plays_again_to_the_same(tmp_path: Path) -> None:
    said = f"My address is bob@example.org, the key {KEY}"
    async with running(tmp_path, recorder={"requests": 10, "texts": "keep"}) as stack, stack.client() as http:
        for stream in (True, False):
            assert (await http.post("/v1/messages", json=question(said, stream=stream))).status_code == 200
        for recording in await recordings(stack, 2):
            today = await replay(recording, RecordingLog())
            assert difference(recording["answer"]["body"], today.body.decode(), masked=False) == []


async def test_where_the_upstreams_answer_was_not_kept_whole_a_replay_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, recorder={"requests": 10, "max_part": 3000}) as stack, stack.client() as http:
        assert (await http.post("/v1/messages", json=question("[[events=40]] x"))).status_code == 200
        (recording,) = await recordings(stack, 1)
    with pytest.raises(NotReplayable, match=r"recorder\.max_part"):
        await replay(recording, RecordingLog())


def everything_under(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def test_no_secret_and_no_word_of_a_conversation_is_kept(tmp_path: Path) -> None:
    body = question(
        f"{CANARY} bob@example.org",
        system=f"{CANARY} arn:aws:codewhisperer:us-east-1:123456789012:profile/ABC",
        tools=[{"name": "look", "description": CANARY, "input_schema": {"properties": {"q": {"enum": [CANARY]}}}}],
        metadata={"user_id": CANARY},
    )
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"q": CANARY}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": CANARY}]},
    ]
    headers = {"cookie": f"session={CANARY}", "x-forwarded-for": "192.0.2.77", "x-anything": CANARY}
    for name in ("user-agent", "accept-language", "anthropic-beta", "x-request-id", "x-stainless-lang"):
        headers[name] = f"bob@example.org {KEY} arn:aws:iam::123456789012:user/bob"  # shown, and a client's own word
    async with running(tmp_path, recorder={"requests": 10}) as stack, stack.client(headers=headers) as http:
        answer = await http.post("/v1/messages?x=" + "Kanarienvogel", json=body)
        assert answer.status_code == 200
        (recording,) = await recordings(stack, 1)
        told = everything_under(tmp_path / "recorder")
        credentials = await stack.gateway.accounts.accounts()[0].peek()
    assert credentials is not None
    assert credentials.access_token not in told
    for secret in (KEY, DEMO_REFRESH_TOKEN, "Kanarienvogel", "4711", "bob@", "123456789012", "192.0.2.77"):
        assert secret not in told, secret
    assert "Bearer" not in told
    assert answer.json()["content"][0]["text"] not in told
    assert recording["client"]["body"]["tools"][0]["name"] == "look"
    assert len(recording["client"]["body"]["messages"][0]["content"]) == len(f"{CANARY} bob@example.org")


async def test_texts_that_shall_be_kept_are_kept_without_secrets(tmp_path: Path) -> None:
    said = f"{CANARY}, the key is {KEY}, mine sk-kt-0123456789abcdef and bob@example.org"
    async with running(tmp_path, recorder={"requests": 10, "texts": "keep"}) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question(said))
        await recordings(stack, 1)
        told = everything_under(tmp_path / "recorder")
    assert CANARY in told
    for secret in (KEY, DEMO_REFRESH_TOKEN, "sk-kt-0123456789abcdef", "bob@"):
        assert secret not in told, secret


async def test_off_means_that_nothing_is_made_or_loaded(tmp_path: Path) -> None:
    async with running(tmp_path) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question())
        assert stack.gateway.recording is None
    assert not (tmp_path / "recorder").exists()


async def test_files_are_the_owners_alone_and_the_newest_stay(tmp_path: Path) -> None:
    async with running(tmp_path, recorder={"requests": 2}) as stack, stack.client() as http:
        ids = [(await http.post("/v1/messages", json=question())).headers["request-id"] for _ in range(4)]
        folder = tmp_path / "recorder"
        with trio.fail_after(10):
            while [entry.id for entry in entries(folder)] != [ids[3], ids[2]]:  # noqa: ASYNC110 - see above
                await trio.sleep(0.01)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(entry.path.stat().st_mode) for entry in entries(folder)} == {0o600}


async def test_what_waits_is_written_when_the_gateway_stops(tmp_path: Path) -> None:
    async with running(tmp_path, recorder={"requests": 5}) as stack:
        async with stack.client() as http:
            await http.post("/v1/messages", json=question())
        stack.stop.ask()
        await recordings(stack, 1)


async def test_of_a_masked_recording_the_attempts_can_be_read(tmp_path: Path) -> None:
    async with running(tmp_path, recorder={"requests": 5}) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question("[[status=500 fail_first=1]] once more"))
        (recording,) = await recordings(stack, 1)
    assert recording["texts"] == "mask"
    tries = recording["record"]["tries"]
    assert [(one["outcome"], one["status"]) for one in tries] == [("upstream_overloaded", 500), ("ok", 200)]
    assert {one["account"] for one in tries} == {recording["record"]["account"]}


async def test_a_web_search_plays_again_without_searching(tmp_path: Path) -> None:
    async with running(tmp_path, recorder={"requests": 9, "texts": "keep"}) as stack, stack.client() as http:
        tools = [{"type": "web_search_20250305", "name": "web_search"}]
        body = question("[[scenario=web-search]] search for it", tools=tools)
        answer = await http.post("/v1/messages", json=body)
        (recording,) = await recordings(stack, 1)
    assert len(recording["upstream"]) > 1
    today = await replay(recording, RecordingLog())
    assert difference(answer.text, today.body.decode(), masked=False) == []
