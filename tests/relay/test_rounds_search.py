"""One search: what is asked, what is repaired, what a failure is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from relay.searching import OTHER, PAGE, Searches, call, found, hear, searching, told
from support.scripted import answering, tail, text

from kirotrio.conversation.events import SearchFinished
from kirotrio.errors import AccountUnavailable, DeadlineExceeded, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

ANSWER = answering(text("done"), tail())
ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABC"


def looking(query: Any = "cats") -> Any:
    return answering(call("web_search", query=query), tail())


async def finished(scene, searches: Any, **wanted: Any) -> SearchFinished:
    heard = await hear(scene, searching(**wanted), searches=searches)
    (event,) = heard.of(SearchFinished)
    return event


@pytest.mark.parametrize(
    ("flavour", "url", "target"),
    [
        ("rest", "https://q.eu-central-1.amazonaws.com/mcp", None),
        ("rpc", "https://q.eu-central-1.amazonaws.com/", "AmazonCodeWhispererStreamingService.InvokeMCP"),
        ("runtime", "https://runtime.eu-central-1.kiro.dev/", "KiroRuntimeService.InvokeMCP"),
    ],
)
async def test_the_call_is_that_of_the_flavour(stage, autojump_clock, flavour, url, target):
    scene, searches = stage(looking(), ANSWER, upstream={"flavour": flavour}), Searches()
    scene.account.profile_arn, scene.account.region = ARN, "eu-central-1"
    scene.transport.plain["amazonaws.com/" if flavour != "runtime" else "kiro.dev/"] = searches
    await hear(scene, searching(), searches=searches)
    assert url in scene.transport.plain_urls
    (headers,), (body,) = searches.headers, searches.bodies
    assert headers.get("x-amz-target") == target
    assert headers["authorization"] == "Bearer token-0"
    assert body["method"] == "tools/call"
    assert body["params"] == {"name": "web_search", "arguments": {"query": "cats"}}
    where = (headers.get("x-amzn-kiro-profile-arn"), body.get("profileArn"))
    assert where == ((None, ARN) if flavour == "runtime" else (ARN, None))


async def test_a_refused_token_is_refreshed_once(stage, autojump_clock):
    scene, searches = stage(looking(), ANSWER), Searches([403, found(PAGE)])
    assert (await finished(scene, searches)).error == ""
    assert scene.account.refused_tokens == ["token-0"]
    assert [headers["authorization"] for headers in searches.headers] == ["Bearer token-0", "Bearer token-1"]
    scene, searches = stage(looking(), ANSWER), Searches([403])
    assert (await finished(scene, searches)).error == "unavailable"
    assert len(searches.bodies) == 2, "the second refusal is final"


async def test_a_missing_profile_is_looked_up_once(stage, autojump_clock):
    refusal = HttpAnswer(400, {}, orjson.dumps({"message": "profileArn is required for this request."}))
    sent: list[Mapping[str, str]] = []

    async def search(body: Any, headers: Mapping[str, str]) -> HttpAnswer:
        sent.append(headers)
        return HttpAnswer(200, {}, orjson.dumps(found(PAGE))) if "x-amzn-kiro-profile-arn" in headers else refusal

    scene = stage(looking(), ANSWER)
    scene.account.found_profile = ARN
    assert (await finished(scene, search)).error == ""
    assert scene.account.resolved == 1
    assert len(sent) == 2


async def test_a_connection_that_broke_is_made_once_more(stage, autojump_clock):
    broke = UpstreamFailed("the connection broke", recovery=Recovery.RETRY)
    scene, searches = stage(looking(), ANSWER), Searches([broke, found(PAGE)])
    assert (await finished(scene, searches)).error == ""
    scene, searches = stage(looking(), ANSWER), Searches([broke])
    assert (await finished(scene, searches)).error == "unavailable"
    assert len(searches.bodies) == 2


async def test_repairs_of_all_kinds_together_cost_three_calls_at_most(stage, autojump_clock):
    broke = UpstreamFailed("the connection broke", recovery=Recovery.RETRY)
    answers: list[Any] = [broke, 403, 400, found(PAGE)]
    sent: list[Any] = []

    async def search(body: Any, headers: Mapping[str, str]) -> HttpAnswer:
        sent.append(headers)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        message = orjson.dumps({"message": "profileArn is required for this request."})
        return HttpAnswer(answer, {}, message if answer == 400 else b'{"message": "no"}')

    scene = stage(looking(), ANSWER)
    scene.account.found_profile = ARN
    assert (await finished(scene, search)).error == "unavailable"
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (429, "too_many_requests"),
        (402, "unavailable"),
        (500, "unavailable"),
        ({"jsonrpc": "2.0", "id": "1", "error": {"code": -32602, "message": "bad"}}, "invalid_tool_input"),
        ({"jsonrpc": "2.0", "id": "1", "error": {"code": -32000, "message": "bad"}}, "unavailable"),
        ([], "unavailable"),
        (AccountUnavailable("nobody is signed in"), "unavailable"),
        (DeadlineExceeded("too slow", recovery=Recovery.RETRY), "unavailable"),
    ],
)
async def test_a_failure_is_told_to_client_and_model_and_never_ends_the_answer(stage, autojump_clock, answer, code):
    scene, searches = stage(looking(), ANSWER), Searches([answer])
    heard = await hear(scene, searching(), searches=searches)
    (event,) = heard.of(SearchFinished)
    assert (event.error, event.results) == (code, ())
    assert f"The search failed ({code})" in told(scene.transport.bodies[1])[0]
    assert heard.text == "done"
    if isinstance(answer, int):
        assert len(searches.bodies) == 1, "what the upstream refused is not asked again"
    (line,) = scene.logged("web search failed")
    assert line["code"] == code
    assert "cats" not in str(scene.log.lines), "what people search for is not logged"


async def test_a_search_that_takes_too_long_is_given_up(stage, autojump_clock):
    scene = stage(looking(), ANSWER, deadlines={"search": 3.0})
    began = autojump_clock.current_time()
    searches = Searches(delay=100.0)
    assert (await finished(scene, searches)).error == "unavailable"
    assert autojump_clock.current_time() - began < 50, "the search was waited for"
    assert searches.running == 0


async def test_refreshing_does_not_lengthen_a_search(stage, autojump_clock):
    class Slow(Searches):
        async def __call__(self, body: Any, headers: Mapping[str, str]) -> HttpAnswer:
            self.delay = 2.0
            return await super().__call__(body, headers)

    scene, searches = stage(looking(), ANSWER, deadlines={"search": 3.0}), Slow([403, found(PAGE)])
    event = await finished(scene, searches)
    assert (event.error, len(searches.bodies)) == ("unavailable", 2), "one deadline holds for all of its calls"


@pytest.mark.parametrize(
    ("query", "code"), [("x" * 201, "query_too_long"), (7, "invalid_tool_input"), (" ", "invalid_tool_input")]
)
async def test_a_query_that_cannot_be_asked_is_not_sent(stage, autojump_clock, query, code):
    scene, searches = stage(looking(query), ANSWER), Searches()
    heard = await hear(scene, searching(), searches=searches)
    assert [event.error for event in heard.of(SearchFinished)] == [code]
    assert searches.bodies == []
    assert heard.finish.usage.web_searches == 0, "what was not searched is not counted"


async def test_the_longest_query_is_sent(stage, autojump_clock):
    searches = Searches()
    assert (await finished(stage(looking("x" * 200), ANSWER), searches)).error == ""
    assert searches.queries == ["x" * 200]


@pytest.mark.parametrize(
    "lists", [{"allowed_domains": ("other.example",)}, {"blocked_domains": ("pages.example/a",)}], ids=str
)
async def test_results_are_filtered_by_the_clients_lists(stage, autojump_clock, lists):
    scene, searches = stage(looking(), ANSWER), Searches()
    event = await finished(scene, searches, **lists)
    assert [result.url for result in event.results] == [OTHER["url"]]
    (text_,) = told(scene.transport.bodies[1])
    assert PAGE["url"] not in text_
    assert "1 more result is left out" in text_
    assert searches.queries == ["cats"], "the query stays as the model made it"


async def test_where_the_user_is_stands_in_the_tools_description(stage, autojump_clock):
    scene = stage(ANSWER)
    await hear(scene, searching(location="Porto, Portugal"))
    context = scene.transport.bodies[0]["conversationState"]["currentMessage"]["userInputMessage"]
    (tool,) = context["userInputMessageContext"]["tools"]
    assert "Porto, Portugal" in tool["toolSpecification"]["description"]
