"""Answers that search while they are written: one stream, one end, and nothing that is ours reaches the client."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay.conftest import hello
from relay.searching import OTHER, PAGE, Heard, Searches, call, found, hear, offered, results_of, searching, told
from support.scripted import answering, event, exception, tail, text
from trio.testing import MockClock

from kirotrio.conversation.events import (
    Citation,
    FetchFinished,
    Finish,
    SearchFinished,
    ServerToolCall,
    StopCause,
    TextDelta,
    ToolCall,
)
from kirotrio.conversation.request import Limits, Tool, ToolChoice, WebFetch, WebSearch
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import KirotrioError
from kirotrio.relay.attempts import Outlet
from kirotrio.relay.request import Mode
from kirotrio.relay.rounds.round import Memory

CLIENTS = Tool("run", "Runs a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
SEARCHING = answering(text("Let me look. "), call("web_search", query="cats"), tail(2.0))
ANSWER = answering(text("It is on ", "https://pages.example/a", " now."), tail())


async def test_a_search_is_run_and_the_answer_goes_on(stage, autojump_clock):
    scene, searches = stage(SEARCHING, ANSWER), Searches()
    heard = await hear(scene, searching(), searches=searches)
    kinds = [type(event) for event in heard.events if not isinstance(event, TextDelta | Citation)]
    assert kinds == [ServerToolCall, SearchFinished, Finish]
    (asked,), (finished,) = heard.of(ServerToolCall), heard.of(SearchFinished)
    assert (asked.tool, asked.input) == ("web_search", {"query": "cats"})
    assert finished.id == asked.id
    assert [result.url for result in finished.results] == [PAGE["url"], OTHER["url"]]
    assert finished.results[0].page_age == "April 7, 2026"
    assert searches.queries == ["cats"]
    assert heard.text == "Let me look. It is on https://pages.example/a now."
    assert heard.finish.cause is StopCause.END_TURN


async def test_the_call_is_shown_before_its_result_is_there(stage, autojump_clock):
    heard = await hear(stage(SEARCHING, ANSWER), searching(), searches=Searches(delay=7.0))
    at = {type(event): heard.at[number] for number, event in enumerate(heard.events)}
    assert at[SearchFinished] - at[ServerToolCall] >= 7.0


async def test_the_model_is_given_what_it_said_and_what_was_found(stage, autojump_clock):
    scene = stage(SEARCHING, ANSWER)
    await hear(scene, searching())
    first, second = scene.transport.bodies
    assert offered(first) == offered(second) == ["web_search"]
    said = second["conversationState"]["history"][-1]["assistantResponseMessage"]
    assert said["content"].strip() == "Let me look."
    (use,) = said["toolUses"]
    assert (use["name"], use["input"]) == ("web_search", {"query": "cats"})
    (result,) = results_of(second)
    assert result["toolUseId"] == use["toolUseId"]
    (text_,) = told(second)
    for piece in ("A page", PAGE["url"], "What it says.", "April 7, 2026", "Another", "More."):
        assert piece in text_, f"the model was not told {piece!r}"


async def test_the_text_behind_a_search_cites_what_was_found(stage, autojump_clock):
    heard = await hear(stage(SEARCHING, ANSWER), searching())
    (citation,) = heard.of(Citation)
    assert (citation.url, citation.title, citation.cited_text) == (PAGE["url"], "A page", "What it says.")
    assert heard.text[citation.start : citation.end] == PAGE["url"], "offsets count the text of all generations"


async def test_usage_is_summed_and_the_input_is_the_last_generations(stage, autojump_clock):
    heard = await hear(stage(SEARCHING, ANSWER), searching())
    usage = heard.finish.usage
    call_text = len("web_search") + len('{"query":"cats"}')
    assert usage.output_tokens == len(heard.text) + call_text
    assert usage.input_tokens == 6_800, "3.4 % of 200,000: the second generation's"
    assert usage.credits == pytest.approx(2 * 0.0386)
    assert (usage.web_searches, usage.web_fetches) == (1, 0)


async def test_where_nothing_is_measured_the_estimate_grows_with_what_was_added(stage, autojump_clock):
    unmeasured = [event("meteringEvent", unit="credit", unitPlural="credits", usage=0.01)]
    scene = stage(
        answering(text("x" * 500), call("web_search", query="cats"), unmeasured), answering(text("Done."), unmeasured)
    )
    heard = await hear(scene, searching())
    added = scene.relay.estimator.count_text(told(scene.transport.bodies[1])[0])
    assert heard.finish.usage.input_tokens == 1000 + 500 + len('web_search{"query":"cats"}') + added


async def test_the_estimate_grows_with_every_generation(stage, autojump_clock):
    unmeasured = [event("meteringEvent", unit="credit", unitPlural="credits", usage=0.01)]
    again = answering(text("x" * 500), call("web_search", query="cats"), unmeasured)
    scene = stage(again, again, answering(text("Done."), unmeasured))
    heard = await hear(scene, searching())
    (found_text,) = told(scene.transport.bodies[1])
    added = scene.relay.estimator.count_text(found_text) + 500 + len('web_search{"query":"cats"}')
    assert heard.finish.usage.input_tokens == 1000 + 2 * added


async def test_what_a_generation_says_last_leaves_ahead_of_the_result(stage, autojump_clock):
    # What may be the beginning of a stop sequence is held until the generation ends.
    scene = stage(answering(call("web_search", query="cats"), text("a ST"), tail()), ANSWER)
    heard = await hear(scene, searching(limits=Limits(stop_sequences=("STOP",))))
    assert heard.text == "a STIt is on https://pages.example/a now."
    kinds = [type(event) for event in heard.events]
    assert kinds.index(SearchFinished) > max(at for at, kind in enumerate(kinds[:4]) if kind is TextDelta)


async def test_searches_of_one_generation_run_at_the_same_time(stage, autojump_clock):
    both = answering(call("web_search", "a", query="cats"), call("web_search", "b", query="dogs"), tail())
    searches = Searches(delay=5.0)
    heard = await hear(stage(both, ANSWER), searching(), searches=searches)
    assert searches.most == 2
    assert [event.id for event in heard.of(ServerToolCall)] == [event.id for event in heard.of(SearchFinished)]


async def test_calls_for_the_client_end_the_answer_after_ours_were_run(stage, autojump_clock):
    mixed = answering(call("run", "a", command="ls"), call("web_search", "b", query="cats"), tail())
    scene = stage(mixed, ANSWER)
    heard = await hear(scene, searching(tools=(CLIENTS,)))
    assert [type(event) for event in heard.events] == [ToolCall, ServerToolCall, SearchFinished, Finish]
    assert heard.finish.cause is StopCause.TOOL_USE
    assert heard.finish.usage.web_searches == 1, "the usage is that of the end, not that of the generation"
    assert len(scene.transport.bodies) == 1, "only the client can go on"


async def test_a_search_whose_result_nobody_would_read_is_not_paid_for(stage, autojump_clock):
    """`carried` False: the client's next turn brings nothing back of what was found."""
    mixed = answering(text("Both. "), call("web_search", "a", query="cats"), call("run", "b", command="ls"), tail())
    scene, searches = stage(mixed, ANSWER), Searches()
    heard = await hear(scene, searching(tools=(CLIENTS,), carried=False), searches=searches)
    assert [type(event) for event in heard.events] == [TextDelta, ToolCall, Finish], "the search leaves nothing"
    assert searches.bodies == []
    assert (heard.finish.cause, heard.finish.usage.web_searches) == (StopCause.TOOL_USE, 0)
    assert heard.finish.usage.credits is not None, "the usage is there although calls were taken out"
    (line,) = scene.logged("server tool not run: the answer ends")
    assert line["calls"] == 1
    assert len(scene.transport.bodies) == 1


async def test_an_answer_that_is_cut_behind_such_a_search_does_not_pay_for_it_either(stage, autojump_clock):
    searches = Searches()
    scene = stage(answering(text("w" * 90), call("web_search", query="cats"), tail()), ANSWER)
    heard = await hear(scene, searching(carried=False, limits=Limits(max_tokens=90)), searches=searches)
    assert heard.finish.cause is StopCause.MAX_TOKENS
    assert (searches.bodies, heard.of(ServerToolCall, SearchFinished)) == ([], [])


async def test_such_a_search_is_run_where_the_answer_goes_on(stage, autojump_clock):
    scene = stage(SEARCHING, answering(call("run", command="ls"), tail()))
    heard = await hear(scene, searching(tools=(CLIENTS,), carried=False), searches=Searches(delay=7.0))
    kinds = [type(event) for event in heard.events]
    assert kinds == [TextDelta, ServerToolCall, SearchFinished, ToolCall, Finish]
    assert heard.at[2] - heard.at[1] >= 7.0, "the call is shown before its result is there"
    assert heard.finish.usage.web_searches == 1
    assert scene.logged("server tool not run: the answer ends") == []


async def test_calls_for_the_client_alone_pass_untouched(stage, autojump_clock):
    heard = await hear(stage(answering(call("run", command="ls"), tail())), searching(tools=(CLIENTS,)))
    assert heard.of(ToolCall) == [ToolCall("call-1", "run", '{"command":"ls"}')]
    assert heard.finish.cause is StopCause.TOOL_USE


async def test_a_tool_of_the_clients_keeps_its_name_and_its_calls(stage, autojump_clock):
    clients = Tool("web_search", "The client's own.", {"type": "object", "properties": {"q": {"type": "string"}}})
    ours = answering(call("kirotrio_web_search", query="cats"), tail())
    scene = stage(ours, answering(call("web_search", q="dogs"), tail()))
    heard = await hear(scene, searching(tools=(clients,)))
    assert offered(scene.transport.bodies[0]) == ["web_search", "kirotrio_web_search"]
    assert [event.input for event in heard.of(ServerToolCall)] == [{"query": "cats"}]
    assert heard.of(ToolCall) == [ToolCall("call-1", "web_search", '{"q":"dogs"}')]


async def test_two_tools_of_ours_under_one_name_are_told_apart(stage, autojump_clock):
    scene = stage(ANSWER)
    await hear(scene, hello(web_search=WebSearch("look"), web_fetch=WebFetch("look")))
    assert offered(scene.transport.bodies[0]) == ["look", "kirotrio_web_fetch"]


async def test_a_search_beyond_the_uses_is_refused_and_the_tool_withdrawn(stage, autojump_clock):
    calls = answering(call("web_search", "a", query="one"), call("web_search", "b", query="two"), tail())
    scene, searches = stage(calls, ANSWER), Searches()
    heard = await hear(scene, searching(max_uses=1), searches=searches)
    assert [event.error for event in heard.of(SearchFinished)] == ["", "max_uses_exceeded"]
    assert searches.queries == ["one"]
    assert heard.finish.usage.web_searches == 1
    second = scene.transport.bodies[1]
    assert "last use" in told(second)[0]
    assert "as often as the request admits" in told(second)[1]
    assert [result["status"] for result in results_of(second)] == ["success", "error"]
    # Its name has to be sent, since the history has it; what it is for is no longer said.
    assert "Searches the web" in str(scene.transport.bodies[0])
    assert "Searches the web" not in str(second), "the tool is still offered"


async def test_the_setting_bounds_what_the_client_asks_for(stage, autojump_clock):
    again = answering(call("web_search", query="more"), tail())
    searches = Searches()
    scene = stage(again, search={"max_uses": 2})
    heard = await hear(scene, searching(max_uses=50), searches=searches)
    assert len(searches.bodies) == 2
    assert len(scene.transport.bodies) == 4, "two uses, one that is refused, and one that is made all the same"
    assert heard.finish.cause is StopCause.END_TURN
    assert [event.error for event in heard.of(SearchFinished)] == ["", "", "max_uses_exceeded", "max_uses_exceeded"]


async def test_a_setting_of_no_uses_offers_no_tool(stage, autojump_clock):
    scene = stage(ANSWER, search={"max_uses": 0})
    await hear(scene, searching())
    assert offered(scene.transport.bodies[0]) == []


async def test_withheld_tools_are_not_offered_and_not_run(stage, autojump_clock):
    scene, searches = stage(SEARCHING, ANSWER), Searches()
    await hear(scene, searching(tool_choice=ToolChoice("none")), searches=searches)
    assert offered(scene.transport.bodies[0]) == []
    assert searches.bodies == []


@pytest.mark.parametrize("choice", [ToolChoice("any"), ToolChoice("tool", "web_search")])
async def test_a_forced_search_is_forced_once(stage, autojump_clock, choice):
    scene = stage(SEARCHING, ANSWER)
    await hear(scene, searching(tool_choice=choice))
    first, second = (
        body["conversationState"]["currentMessage"]["userInputMessage"]["content"] for body in scene.transport.bodies
    )
    assert "tool" in first.removeprefix("Say hi"), "the model was not told that it has to call a tool"
    assert "tool" not in second, "or it would have to search for ever"


async def test_a_forced_tool_of_the_clients_stays_forced(stage, autojump_clock):
    scene = stage(SEARCHING, ANSWER)
    await hear(scene, searching(tools=(CLIENTS,), tool_choice=ToolChoice("tool", "run")))
    for body in scene.transport.bodies:
        assert "run" in body["conversationState"]["currentMessage"]["userInputMessage"]["content"]


async def test_what_was_put_out_counts_against_max_tokens(stage, autojump_clock):
    scene = stage(SEARCHING, answering(text("w" * 500), tail()))
    heard = await hear(scene, searching(limits=Limits(max_tokens=100)))
    assert heard.finish.cause is StopCause.MAX_TOKENS
    spent = len("Let me look. ") + len('web_search{"query":"cats"}')
    shown = len(heard.text) - len("Let me look. ")
    assert 0 < shown < 500
    everything = await hear(stage(answering(text("w" * 500), tail())), hello(limits=Limits(max_tokens=100)))
    left = await hear(stage(answering(text("w" * 500), tail())), hello(limits=Limits(max_tokens=100 - spent)))
    assert shown == len(left.text) < len(everything.text)


async def test_what_an_earlier_answer_put_out_does_not_count_against_max_tokens(stage, autojump_clock):
    # A repair asks again; the answer before it is void.
    scene = stage(SEARCHING, ANSWER)
    scene.transport.plain["/mcp"] = Searches()
    conversation, ledger = searching(limits=Limits(max_tokens=500)), UsageLedger(0, False, len)
    ledger.absorb(TextDelta("w" * 490))
    ledger.next_generation()
    heard = await hear(scene, conversation, Mode.JSON, ledger=ledger)
    assert heard.finish.cause is StopCause.END_TURN


async def test_an_answer_with_nothing_left_ends_after_its_search(stage, autojump_clock):
    scene = stage(answering(text("w" * 90), call("web_search", query="cats"), tail()), ANSWER)
    heard = await hear(scene, searching(limits=Limits(max_tokens=90)))
    assert heard.finish.cause is StopCause.MAX_TOKENS
    assert len(heard.of(SearchFinished)) == 1
    assert len(scene.transport.bodies) == 1
    unlimited = stage(
        answering(text("w" * 90), call("web_search", query="cats"), tail()),
        ANSWER,
        limits={"enforce_max_tokens": "off"},
    )
    heard = await hear(unlimited, searching(limits=Limits(max_tokens=90)))
    assert heard.finish.cause is StopCause.END_TURN, "with enforcement off nothing is cut here"


async def test_a_generation_with_no_token_left_is_not_paid_for(stage, autojump_clock):
    asked = call("web_search", query="cats")
    spent = len("w" * 40) + len('web_search{"query":"cats"}')
    for left, generations in ((0, 1), (1, 2)):
        scene = stage(answering(text("w" * 40), asked, tail()), ANSWER)
        heard = await hear(scene, searching(limits=Limits(max_tokens=spent + left)))
        assert len(scene.transport.bodies) == generations, f"{left} tokens are left"
        assert heard.finish.cause is StopCause.MAX_TOKENS
        assert len(heard.of(SearchFinished)) == 1


async def test_a_stop_sequence_behind_a_search_ends_the_answer(stage, autojump_clock):
    scene = stage(answering(call("web_search", query="cats"), text("and STOP here"), tail()), ANSWER)
    heard = await hear(scene, searching(limits=Limits(stop_sequences=("STOP",))))
    assert (heard.finish.cause, heard.finish.stop_sequence) == (StopCause.STOP_SEQUENCE, "STOP")
    assert len(heard.of(SearchFinished)) == 1, "a call that was shown gets its result"
    assert heard.text == "and "
    assert len(scene.transport.bodies) == 1


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
async def test_a_later_generation_that_fails_takes_nothing_with_it(stage, autojump_clock, mode):
    broken = answering(text("It is "), [exception("InternalServerException", HIGH_LOAD)])
    scene, searches = stage(SEARCHING, broken, ANSWER), Searches()
    heard = await hear(scene, searching(), mode, searches=searches)
    assert heard.restarts == 1
    assert heard.text == "Let me look. It is on https://pages.example/a now."
    (citation,) = heard.of(Citation)
    assert heard.text[citation.start : citation.end] == PAGE["url"]
    assert [type(event) for event in heard.of(ServerToolCall, SearchFinished)] == [ServerToolCall, SearchFinished]
    assert len(searches.bodies) == 1, "what was found is kept"
    assert heard.finish.usage.output_tokens == len(heard.text) + len('web_search{"query":"cats"}')


async def test_a_failure_after_several_searches_keeps_every_one(stage, autojump_clock):
    more = answering(text("And more. "), call("web_search", "call-2", query="dogs"), tail())
    broken = answering(text("It is "), [exception("InternalServerException", HIGH_LOAD)])
    heard = await hear(stage(SEARCHING, more, broken, ANSWER), searching(), Mode.BUFFERED)
    assert heard.restarts == 1
    assert heard.text == "Let me look. And more. It is on https://pages.example/a now."
    assert [asked.input["query"] for asked in heard.of(ServerToolCall)] == ["cats", "dogs"]
    assert len(heard.of(SearchFinished)) == 2


async def test_a_call_for_the_client_in_a_void_attempt_does_not_end_the_answer(stage, autojump_clock):
    void = answering(text("Void. "), call("run", command="ls"), [exception("InternalServerException", HIGH_LOAD)])
    scene = stage(void, SEARCHING, ANSWER)
    heard = await hear(scene, searching(tools=(CLIENTS,)), Mode.BUFFERED)
    assert heard.finish.cause is StopCause.END_TURN
    assert heard.text == "Let me look. It is on https://pages.example/a now."
    assert len(scene.transport.bodies) == 3
    assert "Void." not in str(scene.transport.bodies[2]), "the model was shown what it never said"


async def test_nothing_is_kept_where_nothing_can_be_restarted():
    heard = Heard()
    memory = Memory(Outlet(heard.send, heard.restart), keeps=False)
    await memory.outlet.send([TextDelta("before ")])
    await memory.send([TextDelta("between ")])
    await memory.outlet.restart()
    assert heard.events == []


async def test_what_a_restart_made_void_never_comes_again():
    heard = Heard()
    memory = Memory(Outlet(heard.send, heard.restart), keeps=True)
    for void in ("lost", "lost too"):
        await memory.outlet.send([TextDelta(void)])
        await memory.outlet.restart()
    await memory.outlet.send([TextDelta("kept ")])
    await memory.send([TextDelta("between ")])
    await memory.outlet.send([TextDelta("lost")])
    await memory.outlet.restart()
    assert heard.text == "kept between "


async def test_a_searching_generation_that_fails_is_void(stage, autojump_clock):
    broken = answering(call("web_search", query="lost"), [exception("InternalServerException", HIGH_LOAD)])
    searches = Searches()
    heard = await hear(stage(broken, SEARCHING, ANSWER), searching(), Mode.BUFFERED, searches=searches)
    assert searches.queries == ["cats"]
    assert heard.finish.usage.web_searches == 1
    assert len(heard.of(ServerToolCall)) == 1


async def test_a_later_generation_that_fails_live_fails_the_answer(stage, autojump_clock):
    broken = answering(text("It is "), [exception("InternalServerException", HIGH_LOAD)])
    with pytest.raises(KirotrioError):
        await hear(stage(SEARCHING, broken, ANSWER), searching())


async def test_leaving_in_the_middle_of_a_search_ends_it(stage, autojump_clock):
    scene, searches, heard = stage(SEARCHING, ANSWER), Searches(delay=15.0), Heard()
    with trio.move_on_after(5) as left:
        await hear(scene, searching(), heard=heard, searches=searches)
    assert left.cancelled_caught
    assert searches.bodies, "the search had begun"
    assert searches.running == 0
    assert scene.transport.open == 0
    assert len(scene.transport.bodies) == 1


async def test_a_fault_of_ours_is_told_as_a_failed_search(stage, autojump_clock):
    scene = stage(SEARCHING, ANSWER)
    heard = await hear(scene, searching(), searches=Searches([RuntimeError("a fault")]))
    assert [event.error for event in heard.of(SearchFinished)] == ["unavailable"]
    assert heard.finish.cause is StopCause.END_TURN
    assert scene.logged("server tool failed")


async def test_search_and_fetch_are_offered_together(stage, autojump_clock):
    calls = answering(call("web_search", "a", query="x"), call("web_fetch", "b", url="https://nowhere.example"), tail())
    scene = stage(calls, ANSWER)
    conversation = hello(web_search=WebSearch(), web_fetch=WebFetch())
    heard = await hear(scene, conversation)
    assert offered(scene.transport.bodies[0]) == ["web_search", "web_fetch"]
    assert [event.tool for event in heard.of(ServerToolCall)] == ["web_search", "web_fetch"]
    assert [type(event) for event in heard.of(SearchFinished, FetchFinished)] == [SearchFinished, FetchFinished]
    assert heard.of(FetchFinished)[0].error == "url_not_allowed", "the address came up nowhere"
    assert heard.finish.usage.web_fetches == 0, "what was not fetched is not counted"


# -- direct answers ------------------------------------------------------------------------------------------------


async def test_a_request_that_is_a_search_is_answered_without_a_model(stage, autojump_clock):
    scene, searches = stage(ANSWER), Searches()
    heard = await hear(scene, searching(direct_query="cats"), searches=searches)
    assert scene.transport.bodies == [], "no generation was needed"
    assert searches.queries == ["cats"]
    kinds = [type(event) for event in heard.events if not isinstance(event, Citation)]
    assert kinds == [ServerToolCall, SearchFinished, TextDelta, Finish]
    for piece in ("A page", PAGE["url"], "What it says.", "April 7, 2026", "Another", OTHER["url"], "More."):
        assert piece in heard.text
    assert {citation.url for citation in heard.of(Citation)} == {PAGE["url"], OTHER["url"]}
    finish = heard.finish
    assert finish.cause is StopCause.END_TURN
    assert finish.usage.web_searches == 1
    assert (finish.usage.input_tokens, finish.usage.output_tokens) == (1000, 0)


async def test_a_direct_search_that_fails_says_so(stage, autojump_clock):
    heard = await hear(stage(ANSWER), searching(direct_query="cats"), searches=Searches([429]))
    assert [event.error for event in heard.of(SearchFinished)] == ["too_many_requests"]
    assert heard.text.startswith("The web search failed: ")
    assert heard.finish.cause is StopCause.END_TURN


@pytest.mark.parametrize(("query", "uses", "code"), [("x" * 201, 8, "query_too_long"), ("x", 0, "max_uses_exceeded")])
async def test_a_direct_search_that_is_not_made_is_not_counted(stage, autojump_clock, query, uses, code):
    searches = Searches()
    heard = await hear(stage(ANSWER, search={"max_uses": uses}), searching(direct_query=query), searches=searches)
    assert [event.error for event in heard.of(SearchFinished)] == [code]
    assert searches.bodies == []
    assert heard.finish.usage.web_searches == 0


async def test_a_direct_search_that_finds_nothing_says_so(stage, autojump_clock):
    heard = await hear(stage(ANSWER), searching(direct_query="cats"), searches=Searches([found()]))
    assert heard.of(SearchFinished)[0].results == ()
    assert heard.text == "The web search found nothing for: cats"


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_direct_search_is_a_whole_answer_in_every_mode(stage, autojump_clock, mode):
    scene = stage(ANSWER)
    scene.transport.plain["/mcp"] = Searches()
    sink = await scene.run(mode, searching(direct_query="cats"))
    assert sink.status == 200
    assert sink.finished
    assert PAGE["url"].encode() in sink.body
    assert scene.logged("request finished")[0]["account"] == "scripted", "whose searches were used up"


# -- any number of searching generations ---------------------------------------------------------------------------

spoken = st.text("abc ", min_size=1, max_size=8).map(lambda words: ("text", words))
queries = st.one_of(
    st.text("xyz", min_size=1, max_size=6).map(lambda query: {"query": query}),
    st.sampled_from([{"query": "long " * 50}, {"query": 7}, {"query": " "}, {}]),
)
searches_made = queries.map(lambda arguments: ("web_search", arguments))
fetches_made = st.just(("web_fetch", {"url": "https://never.mentioned.example/"}))
clients_made = st.just(("run", {"command": "ls"}))
generations = st.lists(
    st.lists(st.one_of(spoken, searches_made, searches_made, fetches_made, clients_made), min_size=1, max_size=4),
    max_size=5,
)


def scripted(pieces: list[tuple[str, Any]], number: int) -> Any:
    frames: list[bytes] = []
    for at, (kind, what) in enumerate(pieces):
        frames += text(what) if kind == "text" else call(kind, f"call-{number}-{at}", **what)
    return answering(frames, tail())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    planned=generations,
    uses=st.integers(1, 4),
    mode=st.sampled_from(Mode),
    fails=st.sampled_from([None, 0, 1, 2]),
    carried=st.booleans(),
)
def test_every_answer_is_whole_whatever_the_model_does(stage, planned, uses, mode, fails, carried) -> None:
    """`fails`: which generation breaks in the middle once, in a mode that can begin it again."""

    async def run() -> None:
        scripts = [scripted(pieces, number) for number, pieces in enumerate([*planned, [("text", "done")]])]
        breaks = fails is not None and mode is not Mode.LIVE and fails < len(scripts)
        if breaks:
            whole = scripts[fails]
            broken = answering(list(whole.steps)[:-3], [exception("InternalServerException", HIGH_LOAD)])
            scripts.insert(fails, broken)
        scene, found_by = stage(*scripts), Searches()
        conversation = hello(
            tools=(CLIENTS,),
            web_search=WebSearch(max_uses=uses, carried=carried),
            web_fetch=WebFetch(max_uses=uses, carried=carried),
        )
        heard = await hear(scene, conversation, mode, searches=found_by)
        finish = heard.finish
        assert not [event for event in heard.of(ToolCall) if event.name != "run"], "a call of ours left"
        open_calls: dict[str, str] = {}
        ended: list[str] = []
        for passed in heard.events:
            if isinstance(passed, ServerToolCall):
                assert passed.id not in open_calls
                assert passed.id not in ended
                open_calls[passed.id] = passed.tool
            elif isinstance(passed, SearchFinished | FetchFinished):
                tool = open_calls.pop(passed.id)
                assert tool == ("web_search" if isinstance(passed, SearchFinished) else "web_fetch")
                ended.append(passed.id)
        assert not open_calls, "a call has no result"
        kinds = [type(event) for event in heard.events]
        if not carried and ToolCall in kinds:
            assert ServerToolCall not in kinds[kinds.index(ToolCall) :], "nobody reads what it finds"
        restarted = heard.restarts > 0
        generated = len(scene.transport.bodies) - restarted
        assert generated <= 2 * (uses + 1) + 1, "nothing bounds the answer"
        assert finish.usage.web_searches == len(found_by.bodies) <= uses
        assert finish.usage.credits == pytest.approx(0.0386 * generated)
        said = [(kind, what) for pieces in [*planned, [("text", "done")]][:generated] for kind, what in pieces]
        assert heard.text == "".join(what for kind, what in said if kind == "text")
        put_out = sum(len(what) if kind == "text" else len(kind) + len(orjson.dumps(what)) for kind, what in said)
        assert finish.usage.output_tokens == put_out
        assert (finish.cause is StopCause.TOOL_USE) == bool(heard.of(ToolCall))

    trio.run(run, clock=MockClock(autojump_threshold=0))
