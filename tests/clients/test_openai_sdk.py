"""OpenAI's official SDK judges both of its APIs: sync in a thread, and async on Trio."""

from __future__ import annotations

import openai
import orjson
import pytest
import trio
from pydantic import BaseModel
from support.stack import KEY, running

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "description": f"the {what} of a place", "parameters": PLACE}}
    for name, what in (("get_weather", "weather"), ("get_time", "time"))
]
RESPONSES_TOOLS = [{"type": "function", "strict": False, **tool["function"]} for tool in CHAT_TOOLS]
MODEL = "claude-sonnet-4-5"

# The SDK leaves its own generators unexhausted when a stream ends in an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Out(BaseModel):
    answer: str
    n: int


def asking(text: str, **changes):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **changes}


def sync_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def async_client(url: str, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


@pytest.fixture(params=["", "/cc"], ids=["live", "buffered"])
def prefix(request):
    return request.param


class TestChat:
    async def test_async_stream_on_trio(self, tmp_path, prefix):
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            pieces, usages, reasons = [], [], []
            stream = await client.chat.completions.create(
                **asking("[[events=5]] hello", stream=True, stream_options={"include_usage": True})
            )
            async for chunk in stream:
                usages += [chunk.usage] if chunk.usage else []
                for choice in chunk.choices:
                    pieces.append(choice.delta.content or "")
                    reasons += [choice.finish_reason] if choice.finish_reason else []
        assert "".join(pieces)
        assert reasons == ["stop"]
        assert len(usages) == 1, "one usage chunk was asked for"
        assert usages[0].prompt_tokens > 0
        assert usages[0].total_tokens == usages[0].prompt_tokens + usages[0].completion_tokens

    async def test_sync_answer(self, tmp_path, prefix):
        async with running(tmp_path) as s:

            def run():
                with sync_client(s.url + prefix) as client:
                    return client.chat.completions.create(**asking("hello"))

            answer = await trio.to_thread.run_sync(run)
        assert answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens > 0

    async def test_sync_stream_helper(self, tmp_path, prefix):
        async with running(tmp_path) as s:

            def run():
                with (
                    sync_client(s.url + prefix) as client,
                    client.chat.completions.stream(**asking("[[events=4]] hello")) as stream,
                ):
                    return stream.get_final_completion()

            answer = await trio.to_thread.run_sync(run)
        assert answer.choices[0].message.content

    async def test_thinking_is_reasoning_content(self, tmp_path, prefix):
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            question = asking("[[scenario=thinking]] hello", reasoning_effort="high")
            whole = await client.chat.completions.create(**question)
            thought, said = [], []
            async for chunk in await client.chat.completions.create(**question, stream=True):
                for choice in chunk.choices:
                    thought.append(getattr(choice.delta, "reasoning_content", None) or "")
                    said.append(choice.delta.content or "")
        assert whole.choices[0].message.reasoning_content
        assert "".join(thought) == whole.choices[0].message.reasoning_content
        assert "".join(said) == whole.choices[0].message.content

    async def test_two_parallel_tools_and_their_round_trip(self, tmp_path, prefix):
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            first = asking("[[scenario=parallel-tools]] both", tools=CHAT_TOOLS, reasoning_effort="none")
            async with client.chat.completions.stream(**first) as stream:
                message = (await stream.get_final_completion()).choices[0].message
            calls = message.tool_calls
            assert len({call.id for call in calls}) == 2
            assert all(isinstance(orjson.loads(call.function.arguments), dict) for call in calls)
            results = [{"role": "tool", "tool_call_id": call.id, "content": f"of {call.id}"} for call in calls]
            history = [*first["messages"], message.model_dump(exclude_none=True), *results]
            second = await client.chat.completions.create(**{**first, "messages": history})
            sent = (await s.sent())[-1]
        for call in calls:
            assert f'"of {call.id}"' in sent, "a tool's result did not reach the upstream"
        assert second.choices[0].finish_reason == "stop"
        assert second.choices[0].message.content

    async def test_parse_with_a_schema(self, tmp_path, prefix):
        control = '[[text="{\\"answer\\": \\"olleh\\", \\"n\\": 5}"]]'
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            answer = await client.chat.completions.parse(**asking(f"{control} go"), response_format=Out)
        assert answer.choices[0].message.parsed == Out(answer="olleh", n=5)

    async def test_an_answer_that_misses_the_schema_is_an_error_that_is_not_retried(self, tmp_path):
        async with running(tmp_path) as s, openai.AsyncOpenAI(base_url=f"{s.url}/v1", api_key=KEY) as client:
            with pytest.raises(openai.InternalServerError, match="n"):
                await client.chat.completions.parse(**asking('[[text="{\\"answer\\": 1}"]] go'), response_format=Out)
            asked = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
        assert len(asked) == 1, "the SDK asked again for an answer that is paid for each time"

    async def test_an_image_reaches_the_upstream(self, tmp_path, prefix):
        content = [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ]
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            await client.chat.completions.create(**asking("", messages=[{"role": "user", "content": content}]))
            sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]][-1]
        (image,) = sent["body"]["conversationState"]["currentMessage"]["userInputMessage"]["images"]
        assert image["source"]["bytes"] == PIXEL


class TestResponses:
    async def test_async_stream_with_reasoning_on_trio(self, tmp_path, prefix):
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            async with client.responses.stream(
                model=MODEL, input="[[scenario=thinking]] hello", reasoning={"effort": "low", "summary": "auto"}
            ) as stream:
                kinds = [event.type async for event in stream]
                response = await stream.get_final_response()
        assert [item.type for item in response.output] == ["reasoning", "message"]
        assert response.output[0].summary[0].text
        assert response.output_text
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert response.usage.input_tokens > 0
        assert response.usage.output_tokens_details.reasoning_tokens > 0

    async def test_sync_answer(self, tmp_path, prefix):
        async with running(tmp_path) as s:

            def run():
                with sync_client(s.url + prefix) as client:
                    return client.responses.create(model=MODEL, input="hello")

            response = await trio.to_thread.run_sync(run)
        assert response.status == "completed"
        assert response.output_text

    async def test_a_tool_and_its_stored_continuation(self, tmp_path, prefix):
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            async with client.responses.stream(
                model=MODEL, input="[[scenario=tools tool=get_weather]] how is it?", tools=RESPONSES_TOOLS
            ) as stream:
                first = await stream.get_final_response()
            (call,) = [item for item in first.output if item.type == "function_call"]
            assert isinstance(orjson.loads(call.arguments), dict)
            second = await client.responses.create(
                model=MODEL,
                previous_response_id=first.id,
                tools=RESPONSES_TOOLS,
                input=[{"type": "function_call_output", "call_id": call.call_id, "output": "SUNNY-77"}],
            )
            sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]][-1]
        assert second.output_text
        assert "SUNNY-77" in orjson.dumps(sent["body"]).decode()
        assert "how is it?" in orjson.dumps(sent["body"]).decode(), "the stored question is not in the continuation"

    async def test_a_stored_response_can_be_fetched_and_deleted(self, tmp_path):
        async with running(tmp_path) as s, async_client(s.url) as client:
            made = await client.responses.create(model=MODEL, input="hello")
            fetched = await client.responses.retrieve(made.id)
            await client.responses.delete(made.id)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(made.id)
            with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
                await client.responses.create(model=MODEL, input="and now?", previous_response_id=made.id)
        assert fetched.output_text == made.output_text

    async def test_parse_with_a_schema(self, tmp_path, prefix):
        control = '[[text="{\\"answer\\": \\"olleh\\", \\"n\\": 5}"]]'
        async with running(tmp_path) as s, async_client(s.url + prefix) as client:
            response = await client.responses.parse(model=MODEL, input=f"{control} go", text_format=Out)
        assert response.output_parsed == Out(answer="olleh", n=5)

    async def test_a_failure_in_the_middle_ends_the_stream(self, tmp_path):
        async with running(tmp_path) as s, async_client(s.url) as client:
            with pytest.raises((RuntimeError, openai.APIError)):
                async with client.responses.stream(
                    model=MODEL, input="[[events=3 exception=InternalServerException]] x"
                ) as stream:
                    await stream.get_final_response()


ERRORS = [
    ("status=CONTENT_LENGTH_EXCEEDS_THRESHOLD", openai.BadRequestError, 400, "context_length_exceeded"),
    ("status=USER_REQUEST_RATE_EXCEEDED", openai.RateLimitError, 429, "rate_limit_exceeded"),
    ("status=MONTHLY_REQUEST_COUNT", openai.RateLimitError, 429, "insufficient_quota"),
    ("status=INSUFFICIENT_MODEL_CAPACITY", openai.InternalServerError, 503, "overloaded"),
    ("status=TEMPORARILY_SUSPENDED", openai.InternalServerError, 503, "account_unavailable"),
    ("scenario=empty", openai.InternalServerError, 502, "upstream_error"),
]


@pytest.mark.parametrize(("control", "kind", "status", "code"), ERRORS)
@pytest.mark.parametrize("surface", ["chat", "responses"])
async def test_errors_are_the_sdks_own(tmp_path, surface, control, kind, status, code):
    async with running(tmp_path) as s, async_client(s.url) as client:
        question = f"[[{control}]] x"
        if surface == "chat":
            asked = client.chat.completions.create(**asking(question))
        else:
            asked = client.responses.create(model=MODEL, input=question)
        with pytest.raises(kind) as raised:
            await asked
    assert raised.value.status_code == status
    assert raised.value.code == code
    assert raised.value.body["message"]


@pytest.mark.parametrize("surface", ["chat", "responses"])
async def test_a_wrong_key_and_an_unknown_model(tmp_path, surface):
    async with running(tmp_path) as s:

        async def ask(client, model):
            if surface == "chat":
                await client.chat.completions.create(**asking("x", model=model))
            else:
                await client.responses.create(model=model, input="x")

        async with async_client(s.url, "wrong") as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                await ask(client, MODEL)
        async with async_client(s.url) as client:
            with pytest.raises(openai.NotFoundError) as unknown:
                await ask(client, "no-such-model-9")
    assert refused.value.code == "invalid_api_key"
    assert unknown.value.code == "model_not_found"


async def test_a_body_that_does_not_decode_names_its_parameter(tmp_path):
    async with running(tmp_path) as s, async_client(s.url) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            await client.chat.completions.create(**asking("x", n=2))
    assert raised.value.param == "n"


async def test_models_are_listed_and_found(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        models = [model async for model in client.models.list()]
        one = await client.models.retrieve("claude-sonnet-4.5")
    assert {"claude-sonnet-4.5", "auto"} <= {model.id for model in models}
    assert all(model.object == "model" and isinstance(model.created, int) and model.owned_by for model in models)
    assert one.id == "claude-sonnet-4.5"


async def test_chat_web_search_brings_annotations(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        answer = await client.chat.completions.create(
            **asking("[[scenario=web-search]] what is new?", web_search_options={})
        )
        message = answer.choices[0].message
    assert message.tool_calls is None, "the gateway's own search reached the client"
    assert message.annotations, "the answer names a source that was found and is not annotated"
    note = message.annotations[0].url_citation
    assert message.content[note.start_index : note.end_index] == note.url


async def test_responses_web_search_is_an_item_of_its_own(tmp_path, prefix):
    async with running(tmp_path) as s, async_client(s.url + prefix) as client:
        async with client.responses.stream(
            model=MODEL, input="[[scenario=web-search]] what is new?", tools=[{"type": "web_search"}]
        ) as stream:
            response = await stream.get_final_response()
    kinds = [item.type for item in response.output]
    assert "web_search_call" in kinds, kinds
    assert kinds[-1] == "message"
    assert response.output[-1].content[0].annotations
