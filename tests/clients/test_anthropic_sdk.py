"""The official SDK judges the stream: sync in a thread, and async on Trio."""

from __future__ import annotations

import base64
from functools import partial

import anthropic
import pytest
import trio
from support.stack import KEY, running

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "get_weather",
    "description": "the weather of a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
TIME = {
    "name": "get_time",
    "description": "the time of a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}

# The SDK leaves its own generators unexhausted when a stream ends in an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def ask(text: str, **changes):
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 8000,
        "messages": [{"role": "user", "content": text}],
        **changes,
    }


def sync_client(url: str, **options) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, **options)


def async_client(url: str, **options) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0, **options)


@pytest.fixture(params=["", "/cc"], ids=["live", "buffered"])
def prefix(request):
    return request.param


async def test_async_stream_of_text_on_trio(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        async with client.messages.stream(**ask("[[events=5]] hello")) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
    assert text
    assert message.content[0].text == text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


async def test_sync_stream_of_text(tmp_path, prefix):
    async with running(tmp_path) as s:

        def run() -> anthropic.types.Message:
            with sync_client(s.url + prefix) as client, client.messages.stream(**ask("hello")) as stream:
                return stream.get_final_message()

        message = await trio.to_thread.run_sync(run)
    assert message.content[0].text
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("model", "scenario"), [("claude-sonnet-4-5", "thinking"), ("claude-opus-4-8", "native-thinking")]
)
async def test_thinking_arrives_with_a_signature_and_goes_back(tmp_path, prefix, model, scenario):
    thinking = {"type": "enabled", "budget_tokens": 4000}
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        first = ask(f"[[scenario={scenario}]] hello", model=model, thinking=thinking)
        async with client.messages.stream(**first) as stream:
            message = await stream.get_final_message()
        kinds = [block.type for block in message.content]
        assert kinds == ["thinking", "text"], kinds
        assert message.content[0].thinking
        assert message.content[0].signature.startswith("kt1.")
        following = await client.messages.create(
            **{
                **first,
                "messages": [
                    *first["messages"],
                    {"role": "assistant", "content": [block.model_dump() for block in message.content]},
                    {"role": "user", "content": "and now?"},
                ],
            }
        )
    assert following.stop_reason == "end_turn"


async def test_two_parallel_tools_and_their_round_trip(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        first = ask("[[scenario=parallel-tools]] both, please", tools=[WEATHER, TIME], thinking={"type": "disabled"})
        async with client.messages.stream(**first) as stream:
            message = await stream.get_final_message()
        calls = [block for block in message.content if block.type == "tool_use"]
        assert len(calls) == 2
        assert len({call.id for call in calls}) == 2
        assert all(isinstance(call.input, dict) for call in calls)
        assert message.stop_reason == "tool_use"
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"result of {call.name}"} for call in calls
        ]
        second = await client.messages.create(
            **{
                **first,
                "messages": [
                    *first["messages"],
                    {"role": "assistant", "content": [block.model_dump() for block in message.content]},
                    {"role": "user", "content": results},
                ],
            }
        )
        sent = (await s.sent())[-1]
    for call in calls:
        assert f'"result of {call.name}"' in sent, "a tool's result did not reach the upstream"
    assert second.stop_reason == "end_turn"
    assert second.content[0].type == "text"


async def test_an_image_reaches_the_upstream(tmp_path, prefix):
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "text", "text": "what is this?"},
    ]
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        message = await client.messages.create(**ask("", messages=[{"role": "user", "content": content}]))
        sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]][-1]
    assert message.content
    (image,) = sent["body"]["conversationState"]["currentMessage"]["userInputMessage"]["images"]
    assert image["format"] == "png"
    assert base64.b64decode(image["source"]["bytes"]) == base64.b64decode(PIXEL)


async def test_count_tokens_and_models(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        counted = await client.messages.count_tokens(
            model="claude-sonnet-4-5", messages=[{"role": "user", "content": "hello"}]
        )
        models = [model.id async for model in client.models.list(limit=3)]
        one = await client.models.retrieve("claude-sonnet-4.5")
    assert counted.input_tokens > 0
    assert len(models) == len(set(models)) > 3, "the list goes on over pages"
    assert one.id == "claude-sonnet-4.5"


@pytest.mark.parametrize(
    ("control", "kind", "status"),
    [
        ("status=CONTENT_LENGTH_EXCEEDS_THRESHOLD", anthropic.BadRequestError, 400),
        ("status=USER_REQUEST_RATE_EXCEEDED", anthropic.RateLimitError, 429),
        ("status=MONTHLY_REQUEST_COUNT", anthropic.RateLimitError, 429),
        ("status=INSUFFICIENT_MODEL_CAPACITY", anthropic.InternalServerError, 529),
        ("status=TEMPORARILY_SUSPENDED", anthropic.InternalServerError, 503),
        ("scenario=empty", anthropic.InternalServerError, 502),
    ],
)
async def test_errors_are_the_sdks_own(tmp_path, control, kind, status):
    async with running(tmp_path) as s, async_client(s.url) as client:
        with pytest.raises(kind) as raised:
            await client.messages.create(**ask(f"[[{control}]] x"))
    assert raised.value.status_code == status
    assert raised.value.body["error"]["message"]


async def test_a_wrong_key_is_an_authentication_error(tmp_path):
    async with running(tmp_path) as s:
        client = anthropic.AsyncAnthropic(base_url=s.url, api_key="wrong", max_retries=0)
        async with client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(**ask("x"))


async def test_an_error_in_the_middle_is_raised(tmp_path):
    async with running(tmp_path) as s, async_client(s.url) as client:
        with pytest.raises(anthropic.APIStatusError):
            async with client.messages.stream(**ask("[[events=3 exception=InternalServerException]] x")) as stream:
                await stream.get_final_message()


async def test_unknown_fields_and_betas_are_tolerated(tmp_path):
    async with running(tmp_path) as s, async_client(s.url) as client:
        create = partial(
            client.messages.create,
            extra_body={"field_of_tomorrow": {"a": 1}},
            extra_headers={"anthropic-beta": "something-2027-01-01, other-2027-02-02"},
        )
        message = await create(**ask("hello"))
    assert message.content


async def test_a_thread_is_refused_so_that_the_sdk_falls_back(tmp_path):
    async with running(tmp_path) as s, async_client(s.url) as client:
        with pytest.raises(anthropic.BadRequestError) as raised:
            await client.messages.create(**ask("x"), extra_body={"thread": {"type": "create"}})
    assert raised.value.body["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }
