"""Turns as alternating entries: merging, pairing, fillers, thinking, and what has no equivalent upstream."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from attrs import evolve, frozen

from kirotrio.conversation.request import (
    Conversation,
    Diagnostic,
    Document,
    Image,
    Part,
    RedactedThinking,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ThinkingSetting,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.conversation.snippets import seal
from kirotrio.kiro.lint import violations
from kirotrio.kiro.models import STATIC_CATALOGUE
from kirotrio.kiro.request import RequestOptions, build_request
from kirotrio.kiro.thinking import TAG_SIGNATURE, wrap_signature

ACCOUNT = "0a1b2c3d"
OFF = ThinkingSetting(enabled=False)
TAGS = "claude-sonnet-4.5"
NATIVE = "claude-opus-4.8"


def user(*parts: Part | str) -> Turn:
    return Turn("user", _parts(parts))


def assistant(*parts: Part | str) -> Turn:
    return Turn("assistant", _parts(parts))


def system(*parts: Part | str) -> Turn:
    return Turn("system", _parts(parts))


def _parts(parts: tuple[Part | str, ...]) -> tuple[Part, ...]:
    return tuple(Text(part) if isinstance(part, str) else part for part in parts)


def use(identifier: str, name: str = "Read", **arguments: Any) -> ToolUse:
    return ToolUse(identifier, name, arguments)


def result(identifier: str, *parts: Any, is_error: bool = False) -> ToolResult:
    return ToolResult(identifier, _parts(parts), is_error)


@frozen
class Sent:
    """The messages of a body, current one last, and the diagnostics."""

    messages: list[dict[str, Any]]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def contents(self) -> list[str]:
        return [message["content"] for message in self.messages]

    def results(self, index: int) -> list[tuple[str, str, list[str]]]:
        found = self.messages[index].get("userInputMessageContext", {}).get("toolResults", [])
        return [(r["toolUseId"], r["status"], [block["text"] for block in r["content"]]) for r in found]

    def uses(self, index: int) -> list[str]:
        return [found["toolUseId"] for found in self.messages[index].get("toolUses", [])]

    def noted(self, path: str) -> bool:
        return path in [diagnostic.path for diagnostic in self.diagnostics]


def send(
    *turns: Turn, system: tuple[str, ...] = (), model: str = TAGS, thinking: ThinkingSetting = OFF, **options: Any
) -> Sent:
    numbered = tuple(evolve(turn, path=f"messages.{number}") for number, turn in enumerate(turns))
    conversation = Conversation("m", numbered, system, (Tool("Read", "reads"),), thinking=thinking)
    profile = STATIC_CATALOGUE.resolve(model, aliases={})
    request = build_request(conversation, profile, RequestOptions(conversation_id="c", account_hash=ACCOUNT, **options))
    assert violations(request.body, profile) == []
    state = request.body["conversationState"]
    entries = [*state.get("history", []), state["currentMessage"]]
    roles = [next(iter(entry)) for entry in entries]
    assert roles == (["userInputMessage", "assistantResponseMessage"] * len(roles))[: len(roles)]
    return Sent([next(iter(entry.values())) for entry in entries], request.diagnostics)


# -- roles -----------------------------------------------------------------------------------------------------------


def test_runs_of_one_role_become_one_message() -> None:
    sent = send(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert sent.contents == ["a\n\nb", "c\n\nd", "e"]


def test_the_blocks_of_one_answer_are_one_text() -> None:
    sent = send(user("a"), assistant("The grass", " is green", "."), user("b"))
    assert sent.contents[1] == "The grass is green."


def test_a_history_that_begins_with_the_assistant_gets_a_user_message_ahead() -> None:
    assert send(assistant("hi"), user("yo")).contents == ["(no text)", "hi", "yo"]
    assert send(assistant("hi"), user("yo"), system=("S",)).contents == ["S", "hi", "yo"]


def test_a_prefill_is_moved_to_the_history_and_continued() -> None:
    sent = send(user("json!"), assistant("{"))
    assert sent.contents == ["json!", "{", "Continue exactly where your last message ended."]
    assert sent.noted("messages.1")


def test_an_empty_prefill_is_left_out() -> None:
    sent = send(user("a"), assistant("  "))
    assert sent.contents == ["a"]
    assert sent.noted("messages.1")


def test_a_conversation_that_ends_with_a_tool_use_ends_with_its_missing_result() -> None:
    sent = send(user("a"), assistant(use("t")))
    assert sent.contents[-1] == ""
    assert sent.results(2) == [("t", "error", ["[the tool call was interrupted: there is no result]"])]


def test_no_turns_at_all() -> None:
    assert send().contents == ["(no text)"]
    assert send(system=("S",)).contents == ["S"]


def test_parts_that_only_the_other_role_can_send_change_the_role_where_they_stand() -> None:
    sent = send(user("a", use("t"), result("t", "ok"), "b"), assistant("c", Image("image/png", "AAAA")))
    assert sent.contents == ["a", "", "b", "c", "(no text)"]
    assert sent.results(2) == [("t", "success", ["ok"])]
    assert sent.noted("messages.0.content.1")
    assert sent.noted("messages.1.content.1")


# -- system text -----------------------------------------------------------------------------------------------------


def test_the_system_text_goes_ahead_of_the_first_user_message_which_keeps_its_images() -> None:
    picture = Image("image/png", "AAAA")
    sent = send(user("look", picture), assistant("seen"), user("and?"), system=("One.", "", "Two."))
    assert sent.contents == ["One.\n\nTwo.\n\nlook", "seen", "and?"]
    assert sent.messages[0]["images"] == [{"format": "png", "source": {"bytes": "AAAA"}}]


def test_only_the_attribution_line_of_claude_code_is_dropped() -> None:
    billing = "x-anthropic-billing-header: cc_version=2.1.329.abc; cch=00000;"
    assert send(user("a"), system=(billing, "S")).contents == ["S\n\na"]
    assert send(user("a"), system=(billing + "\nKept.",)).contents == ["Kept.\n\na"]
    assert send(user("a"), system=("About " + billing,)).contents == [f"About {billing}\n\na"]
    assert send(user("a"), system=(billing,)).noted("system.0")


@pytest.mark.parametrize(
    ("turns", "contents"),
    [
        ([user("a"), system("S"), assistant("b"), user("c")], ["a\n\n<system>\nS\n</system>", "b", "c"]),
        ([user("a"), assistant("b"), system("S"), user("c")], ["a", "b", "<system>\nS\n</system>\n\nc"]),
        ([user("a"), assistant("b"), user("c"), system("S")], ["a", "b", "c\n\n<system>\nS\n</system>"]),
        (
            [user("a"), assistant("b"), system("S"), assistant("d"), user("e")],
            ["a", "b", "<system>\nS\n</system>", "d", "e"],
        ),
        ([system("S"), user("a")], ["<system>\nS\n</system>\n\na"]),
    ],
)
def test_a_system_turn_stays_where_it_stands(turns: list[Turn], contents: list[str]) -> None:
    assert send(*turns).contents == contents


def test_a_system_turn_between_a_call_and_its_result_does_not_part_them() -> None:
    sent = send(user("a"), assistant(use("t")), system("S"), user(result("t", "ok")))
    assert sent.results(2) == [("t", "success", ["ok"])]
    assert sent.contents[2] == "<system>\nS\n</system>"


# -- fillers ---------------------------------------------------------------------------------------------------------


def test_empty_turns_keep_their_place() -> None:
    assert send(user("a"), assistant(), user(), assistant(" "), user("b")).contents == [
        "a",
        "(empty)",
        "(no text)",
        "(empty)",
        "b",
    ]


def test_a_user_message_may_be_empty_only_beside_results() -> None:
    sent = send(user("a"), assistant("b", use("t")), user(result("t", "ok"), "\n"))
    assert sent.contents == ["a", "b", ""]
    assert send(user(Image("image/png", "AAAA"))).contents == ["(no text)"]


def test_an_assistant_message_is_empty_only_beside_its_calls() -> None:
    assert send(user("a"), assistant(use("t")), user(result("t", "ok"))).contents[1] == ""


# -- tool uses and results -------------------------------------------------------------------------------------------


def test_results_follow_the_order_of_the_calls() -> None:
    sent = send(user("a"), assistant(use("t1"), use("t2")), user(result("t2", "two"), result("t1", "one"), "go on"))
    assert sent.results(2) == [("t1", "success", ["one"]), ("t2", "success", ["two"])]
    assert sent.contents[2] == "go on"


def test_a_missing_result_is_filled_with_an_error() -> None:
    sent = send(user("a"), assistant(use("t1"), use("t2")), user(result("t1", "one"), "stop"))
    assert sent.results(2)[1][:2] == ("t2", "error")
    assert sent.noted("messages.1.content.1")


def test_a_late_result_moves_back_behind_its_call() -> None:
    sent = send(user("a"), assistant(use("t")), user("wait"), assistant("ok"), user(result("t", "late")))
    assert sent.results(2) == [("t", "success", ["late"])]
    assert sent.contents[2:] == ["wait", "ok", "(the result of a tool call, placed above, directly after its call)"]
    assert sent.noted("messages.4.content.0")


def test_a_late_result_takes_its_image_along() -> None:
    picture = Image("image/png", "AAAA")
    sent = send(user("a"), assistant(use("t")), user("wait"), assistant("ok"), user(result("t", picture), "so?"))
    assert len(sent.messages[2]["images"]) == 1
    assert "images" not in sent.messages[4]


def test_an_orphan_is_kept_as_text_with_its_images() -> None:
    sent = send(user(result("gone", "what came", Image("image/png", "AAAA"), is_error=True), "so?"))
    assert sent.contents == [
        "[result of the tool call gone]\n[the tool call failed]\nwhat came\n[image 1 of this message]\n\nso?"
    ]
    assert len(sent.messages[0]["images"]) == 1
    assert sent.noted("messages.0.content.0")


def test_a_result_ahead_of_its_call_is_an_orphan() -> None:
    sent = send(user(result("t", "early")), assistant(use("t")), user("b"))
    assert "early" in sent.contents[0]
    assert sent.results(2)[0][:2] == ("t", "error")


def test_an_answer_that_was_sent_twice_is_one() -> None:
    call = use("t", path="/x")
    sent = send(user("a"), assistant(call), assistant(call), user(result("t", "ok"), result("t", "ok")))
    assert sent.uses(1) == ["t"]
    assert sent.results(2) == [("t", "success", ["ok"])]
    assert sent.noted("messages.2.content.0")
    assert sent.noted("messages.3.content.1")


def test_different_calls_with_one_id_are_kept_apart() -> None:
    sent = send(user("a"), assistant(use("t", path="1"), use("t", path="2")), user(result("t", "1"), result("t", "2")))
    first, second = sent.uses(1)
    assert first == "t"
    assert first != second
    assert [(r[0], r[2]) for r in sent.results(2)] == [(first, ["1"]), (second, ["2"])]


def test_an_id_that_comes_again_in_a_later_turn_is_another_call() -> None:
    sent = send(user("a"), assistant(use("t")), user(result("t", "1")), assistant(use("t")), user(result("t", "2")))
    assert sent.uses(1) == ["t"]
    assert sent.uses(3) != ["t"]
    assert [sent.results(2)[0][2], sent.results(4)[0][2]] == [["1"], ["2"]]


def test_several_outputs_of_one_call_are_one_result() -> None:
    sent = send(user("a"), assistant(use("t")), user(result("t", "1"), result("t", "2", is_error=True)))
    assert sent.results(2) == [("t", "error", ["[the tool call failed]", "1", "2"])]


def test_a_failure_is_said_in_text() -> None:
    sent = send(user("a"), assistant(use("t")), user(result("t", "no such file", is_error=True)))
    assert sent.results(2) == [("t", "error", ["[the tool call failed]", "no such file"])]


def test_an_empty_result_says_so() -> None:
    sent = send(user("a"), assistant(use("t"), use("u")), user(result("t"), result("u", "")))
    assert [r[2] for r in sent.results(2)] == [["(empty result)"], ["(empty result)"]]


def test_foreign_ids_are_mapped_alike_in_call_and_result() -> None:
    sent = send(user("a"), assistant(use("call_x|fc_y")), user(result("call_x|fc_y", "ok")))
    (sent_id,) = sent.uses(1)
    assert sent_id.startswith("call_x_fc_y_")
    assert [sent_id] == [r[0] for r in sent.results(2)]
    assert sent.uses(1) == send(user("b"), assistant(use("call_x|fc_y")), user(result("call_x|fc_y"))).uses(1)


# -- images and documents --------------------------------------------------------------------------------------------


def test_images_of_results_are_lifted_into_the_message_with_a_legend() -> None:
    png, jpg = Image("image/png", "AAAA"), Image("image/jpg", "BBBB")
    one = send(user("a"), assistant(use("t")), user(result("t", "shot:", png)))
    assert one.results(2) == [("t", "success", ["shot:", "[image 1 of this message]"])]
    assert one.contents[2] == "", "one image needs no legend"
    two = send(user("a"), assistant(use("t"), use("u")), user(jpg, result("u", jpg), result("t", png), "which?"))
    assert [image["source"]["bytes"] for image in two.messages[2]["images"]] == ["AAAA", "BBBB", "BBBB"]
    assert [image["format"] for image in two.messages[2]["images"]] == ["png", "jpeg", "jpeg"]
    assert two.contents[2] == "[images of tool results: image 1 from Read (t), image 2 from Read (u)]\n\nwhich?"
    assert two.results(2)[1] == ("u", "success", ["[image 2 of this message]"])


def test_an_image_that_upstream_cannot_take_leaves_a_note() -> None:
    tiff = Image("image/tiff", "AAAA")
    sent = send(user("a", tiff))
    assert sent.contents == ["a\n\n[image of type image/tiff: not transmitted]"]
    assert sent.noted("messages.0.content.1")
    inside = send(user("a"), assistant(use("t")), user(result("t", tiff)))
    assert inside.results(2)[0][2] == ["[image of type image/tiff: not transmitted]"]
    assert inside.noted("messages.2.content.0.content.0")


def test_a_model_that_reads_text_only_is_told_that_there_was_an_image() -> None:
    sent = send(user("a", Image("image/png", "AAAA")), model="glm-5")
    assert "images" not in sent.messages[0]
    assert sent.noted("messages.0.content.1")


def test_documents_are_sent_as_far_as_they_are_text() -> None:
    sent = send(user(Document("text/plain", "body", 'a "b"', "ctx"), "sum up"))
    assert sent.contents == ["<document title='a \"b\"'>\n<context>ctx</context>\nbody\n</document>\n\nsum up"]
    encoded = base64.b64encode("größe".encode()).decode()
    assert "größe" in send(user(Document("application/json", encoded))).contents[0]


def test_a_pdf_leaves_its_name_and_a_note() -> None:
    sent = send(user("a"), assistant(use("t")), user(result("t", Document("application/pdf", "AAAA", "x.pdf"))))
    assert sent.results(2)[0][2] == [
        '<document title="x.pdf" type="application/pdf">\n(content not transmitted)\n</document>'
    ]
    assert sent.noted("messages.2.content.0.content.0")


def test_a_tool_reference_names_the_tool() -> None:
    sent = send(user("a"), assistant(use("t")), user(result("t", ToolReference("WebFetch"))))
    assert sent.results(2)[0][2] == ["[tool loaded: WebFetch]"]


def test_server_tools_are_folded_into_text() -> None:
    hits = [
        {"type": "web_search_result", "title": "T", "url": "http://t", "encrypted_content": "xyz", "page_age": None}
    ]
    sent = send(
        user("a"),
        assistant(
            ServerToolUse("s", "web_search", {"query": "q"}), ServerToolResult("s", "web_search_tool_result", hits)
        ),
        user("b"),
    )
    assert sent.contents[1] == (
        '<server_tool_use name="web_search">{"query":"q"}</server_tool_use>\n\n'
        '<server_tool_result type="web_search_tool_result">\nT http://t\n</server_tool_result>'
    )
    failed = ServerToolResult("s", "web_search_tool_result", {"error_code": "unavailable"})
    assert '{"error_code":"unavailable"}' in send(user("a"), assistant(failed), user("b")).contents[1]


def test_what_a_search_or_a_fetch_of_ours_found_is_text_again() -> None:
    hits = [
        {"title": "T", "url": "http://t", "encrypted_content": seal("Found this."), "page_age": "May 1, 2026"},
        {"title": "U", "url": "http://u", "encrypted_content": seal("")},
        {"title": "V", "url": "http://v", "encrypted_content": "of another service"},
    ]
    page = {"type": "document", "title": "P", "source": {"type": "text", "media_type": "text/plain", "data": "All."}}
    fetched = ServerToolResult("f", "web_fetch_tool_result", {"url": "http://p", "content": page})
    sent = send(user("a"), assistant(ServerToolResult("s", "web_search_tool_result", hits), fetched), user("b"))
    assert sent.contents[1] == (
        '<server_tool_result type="web_search_tool_result">\n'
        "T http://t May 1, 2026\nFound this.\nU http://u\nV http://v\n</server_tool_result>\n\n"
        '<server_tool_result type="web_fetch_tool_result">\nP http://p\nAll.\n</server_tool_result>'
    )


def test_a_fetched_file_that_is_no_text_is_named_and_not_shown() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    page = {"type": "document", "title": "P", "source": source}
    content = {"type": "web_fetch_result", "url": "http://p", "content": page}
    sent = send(user("a"), assistant(ServerToolResult("f", "web_fetch_tool_result", content)), user("b"))
    assert sent.contents[1] == (
        '<server_tool_result type="web_fetch_tool_result">\n'
        "P http://p\n(content not transmitted)\n</server_tool_result>"
    )
    unnamed = ServerToolResult("f", "web_fetch_tool_result", {"content": {"source": source}})
    assert "\n(content not transmitted)\n" in send(user("a"), assistant(unnamed), user("b")).contents[1]


@pytest.mark.parametrize("content", [{"content": {"source": {"type": "content", "content": []}}}, {"content": 5}, None])
def test_a_fetched_file_without_text_is_its_json(content: Any) -> None:
    fetched = ServerToolResult("f", "web_fetch_tool_result", content)
    assert orjson.dumps(content).decode() in send(user("a"), assistant(fetched), user("b")).contents[1]


# -- characters ------------------------------------------------------------------------------------------------------


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    sent = send(user("a\ud83d", "\ud83d\ude00"), assistant(use("t", text="\udc00")), user(result("t", "\ud800")))
    assert sent.contents[0] == "a\N{REPLACEMENT CHARACTER}\n\n\N{GRINNING FACE}"
    assert sent.messages[1]["toolUses"][0]["input"] == {"text": "\N{REPLACEMENT CHARACTER}"}
    assert sent.results(2)[0][2] == ["\N{REPLACEMENT CHARACTER}"]
    for path in ("messages.0.content.0", "messages.1.content.0", "messages.2.content.0.content.0"):
        assert sent.noted(path)


def test_an_input_nested_without_end_is_cut_with_a_note() -> None:
    nested: Any = "core"
    for _ in range(900):
        nested = [nested]
    sent = send(user("a"), assistant(use("t", deep=nested)), user(result("t")))
    assert sent.noted("messages.1.content.0")


# -- earlier thinking (8.3) ------------------------------------------------------------------------------------------


def own(model: str = NATIVE, account: str = ACCOUNT, signature: str = "c2ln") -> str:
    return wrap_signature(model, account, signature)


def test_signed_thinking_goes_back_to_the_model_and_account_that_signed_it() -> None:
    sent = send(user("a"), assistant(Thinking("plan", own()), "b"), user("c"), model=NATIVE)
    assert sent.messages[1]["reasoningContent"] == {"reasoningText": {"text": "plan", "signature": "c2ln"}}
    assert sent.contents[1] == "b"


@pytest.mark.parametrize(
    "signature", [own(model="claude-opus-4.7"), own(account="ffffffff"), "EqQB-foreign", TAG_SIGNATURE, ""]
)
def test_any_other_thinking_is_left_out_for_a_native_model(signature: str) -> None:
    sent = send(user("a"), assistant(Thinking("plan", signature), "b"), user("c"), model=NATIVE)
    assert "reasoningContent" not in sent.messages[1]
    assert sent.contents[1] == "b"
    assert sent.noted("messages.1.content.0")


def test_of_several_signed_blocks_the_last_is_sent() -> None:
    first, last = Thinking("one", own(signature="b25l")), Thinking("two", own(signature="dHdv"))
    sent = send(user("a"), assistant(first, "b", last), user("c"), model=NATIVE)
    assert sent.messages[1]["reasoningContent"]["reasoningText"]["text"] == "two"
    assert sent.noted("messages.1.content.2")


def test_redacted_thinking_goes_back_as_redacted_content() -> None:
    sent = send(user("a"), assistant(RedactedThinking(own("gpt-5.6-sol")), "b"), user("c"), model="gpt-5.6-sol")
    assert sent.messages[1]["reasoningContent"] == {"redactedContent": "c2ln"}
    foreign = send(user("a"), assistant(RedactedThinking("EqQB"), "b"), user("c"), model="gpt-5.6-sol")
    assert "reasoningContent" not in foreign.messages[1]
    assert foreign.noted("messages.1.content.0")


def test_refused_signatures_are_stripped() -> None:
    sent = send(user("a"), assistant(Thinking("plan", own())), user("c"), model=NATIVE, strip_signatures=True)
    assert "reasoningContent" not in sent.messages[1]
    assert sent.contents[1] == "(empty)"
    assert sent.noted("messages.1.content.0")


@pytest.mark.parametrize("signature", [TAG_SIGNATURE, ""])
def test_a_model_that_thinks_in_tags_sees_its_thinking_again(signature: str) -> None:
    thought = Thinking("a </thinking> b", signature)
    asked = ThinkingSetting(asked=True)
    sent = send(user("a"), assistant(thought, "b"), user("c"), thinking=asked)
    assert sent.contents[1] == "<thinking>a &lt;/thinking&gt; b</thinking>\n\nb"
    off = send(user("a"), assistant(thought, "b"), user("c"))
    assert off.contents[1] == "b", "without the control tags the model would only imitate the text"
    assert off.noted("messages.1.content.0")


def test_thinking_in_a_users_turn_is_left_out() -> None:
    sent = send(user(Thinking("plan", own()), "a"), model=NATIVE)
    assert sent.contents == ["a"]
    assert sent.noted("messages.0.content.0")


# -- members ---------------------------------------------------------------------------------------------------------


def test_no_message_carries_empty_members_and_no_assistant_a_model() -> None:
    sent = send(user("a"), assistant("b"), user("c"), assistant("d", use("t")), user(result("t")))
    assert set(sent.messages[0]) == {"content", "modelId", "origin"}
    assert set(sent.messages[1]) == {"content"}
    assert set(sent.messages[3]) == {"content", "toolUses"}
    assert "tools" not in sent.messages[0].get("userInputMessageContext", {})
