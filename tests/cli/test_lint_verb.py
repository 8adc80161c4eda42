"""`kirotrio lint`: what is said of a body, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.cli.lint import lint_body
from kirotrio.config.settings import Settings

Run = Callable[..., Result]


FIELDS = ["messages", "conversationState", "model", "role", "content", "input", "tools", "previous_response_id", "type"]


def question(**changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
        **changes,
    }


def kiro(**message: Any) -> dict[str, Any]:
    current = {"content": "hello", "modelId": "claude-sonnet-4.5", "origin": "AI_EDITOR", **message}
    return {
        "conversationState": {
            "chatTriggerType": "MANUAL",
            "conversationId": "7d0b3b1e-6f0d-4c43-9c0a-6e7f1c3b9a55",
            "currentMessage": {"userInputMessage": current},
        }
    }


def test_a_good_question_passes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text(json.dumps(question()))
    done = run("lint", str(file))
    assert done.exit_code == 0, done.output
    assert f"{file}: a body of the Messages API; nothing would be rejected" in done.stdout
    assert "rejected  " not in done.stdout


def test_standard_input(run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps(question()).encode())
    assert done.exit_code == 0
    assert "standard input: a body of the Messages API" in done.stdout


def test_a_body_that_does_not_decode_is_told_by_path(run: Run) -> None:
    body = question(messages=[{"role": "user", "content": [{"type": "text", "text": 5}]}])
    done = run("lint", "-", stdin=json.dumps(body).encode())
    assert done.exit_code == 1
    assert "rejected  messages.0.content.0.text" in done.stdout


def test_what_is_changed_on_the_way_is_noted(run: Run) -> None:
    body = question(container="x")
    done = run("lint", "-", stdin=json.dumps(body).encode())
    assert done.exit_code == 0
    assert "note      container: " in done.stdout


def test_a_tool_that_travels_under_another_name_is_noted(run: Run) -> None:
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("a b!", "x" * 70, "fine")]
    done = run("lint", "-", stdin=json.dumps(question(tools=tools)).encode())
    assert done.exit_code == 0, done.output
    renamed = [line for line in done.stdout.splitlines() if "sent as" in line]
    assert [line.split(":")[0] for line in renamed] == ["note      tools.0.name", "note      tools.1.name"]
    assert "'a b!'" in renamed[0]


def test_a_model_that_is_not_known_here_is_noted(run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps(question(model="claude-sonnet-99")).encode())
    assert done.exit_code == 0
    assert "note      model: 'claude-sonnet-99' is not among the models known here" in done.stdout
    assert "note      model" not in run("lint", "-", stdin=json.dumps(question()).encode()).stdout


def test_an_unknown_model_is_told_with_those_there_are(run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps(question(model="%%%")).encode())
    assert done.exit_code == 1
    assert "rejected  model: " in done.stdout
    assert "claude-sonnet-4.5" in done.stdout


def test_settings_count(run: Run) -> None:
    done = run(
        "lint", "-", "--set", "models.alias=%%%=claude-haiku-4.5", stdin=json.dumps(question(model="%%%")).encode()
    )
    assert done.exit_code == 0, done.output


def test_a_body_in_kiros_form_is_checked_as_it_is(run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps(kiro()).encode())
    assert done.exit_code == 0, done.output
    assert "a body in Kiro's form; nothing would be rejected" in done.stdout

    orphan = {"toolResults": [{"toolUseId": "t1", "status": "success", "content": [{"text": "x"}]}]}
    done = run("lint", "-", stdin=json.dumps(kiro(userInputMessageContext=orphan)).encode())
    assert done.exit_code == 1
    assert (
        "rejected  conversationState.currentMessage.userInputMessage.userInputMessageContext.toolResults" in done.stdout
    )
    assert "Kiro answers 400" in done.stdout


def test_what_is_no_json_is_rejected(run: Run) -> None:
    done = run("lint", "-", stdin=b"{")
    assert done.exit_code == 1
    assert "the body is not JSON" in done.stdout


USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CLAUDE_TOOL = {"name": "f", "input_schema": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Chat Completions", {"messages": [{"role": "system", "content": "be brief"}, USER]}),
        ("Chat Completions", {"messages": [{"role": "developer", "content": "be brief"}, USER], "max_tokens": 5}),
        ("Chat Completions", {"messages": [USER], "tools": [FUNCTION], "tool_choice": "auto"}),
        ("Chat Completions", {"messages": [USER], "max_completion_tokens": 5}),
        (
            "Chat Completions",
            {
                "messages": [USER],
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
            },
        ),
        (
            "Chat Completions",
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c1", "content": "done"},
                ],
                "tools": [FUNCTION],
            },
        ),
        (
            "Chat Completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.y/z"}}]}]},
        ),
        ("Responses", {"input": "hello"}),
        ("Responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]}),
        ("Responses", {"input": "hello", "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}),
        ("Responses", {"previous_response_id": "resp_1", "input": "more"}),
        ("Responses", {"previous_response_id": "resp_1"}),
        ("Responses", {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "more"}]}),
        (
            "Responses",
            {
                "previous_response_id": "resp_1",
                "input": [{"type": "function_call_output", "call_id": "c1", "output": "done"}],
            },
        ),
        ("Chat Completions", {"messages": [USER]}),
        ("Messages", {"messages": [USER], "max_tokens": 5}),
        ("Messages", {"messages": [USER], "max_tokens": 5, "tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto"}}),
        ("Messages", {"messages": [USER, {"role": "system", "content": "be brief"}], "system": "x", "max_tokens": 5}),
        (
            "Messages",
            {
                "max_tokens": 5,
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
                    },
                ],
                "tools": [CLAUDE_TOOL],
            },
        ),
    ],
)
def test_every_api_is_known_by_its_shape(title: str, body: dict[str, Any], run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps({"model": "claude-sonnet-4.5", **body}).encode())
    assert (done.exit_code, f"a body of the {title} API; nothing would be" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ({"messages": [USER], "n": 1, "seed": 5}, "note      seed: seed is ignored: "),
        ({"input": "hello", "temperature": 0.5}, "note      temperature: ignored: "),
        ({"input": "hello", "previous_response_id": "resp_1"}, "note      previous_response_id: 'resp_1' is known to"),
    ],
)
def test_what_the_openai_apis_leave_out_is_noted(body: dict[str, Any], note: str, run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps({"model": "claude-sonnet-4.5", **body}).encode())
    assert (done.exit_code, note in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": [USER], "n": 2, "stop": "x"}, "rejected  n: must be 1"),
        ({"input": "hello", "background": True}, "rejected  background: "),
        ({"input": [{"role": "user", "content": 5}]}, "rejected  input.0.content: "),
    ],
)
def test_what_the_openai_apis_refuse_is_told_by_path(body: dict[str, Any], problem: str, run: Run) -> None:
    done = run("lint", "-", stdin=json.dumps({"model": "claude-sonnet-4.5", **body}).encode())
    assert (done.exit_code, problem in done.stdout) == (1, True), done.stdout


def test_the_person_may_say_which_api(run: Run) -> None:
    body = json.dumps({"model": "claude-sonnet-4.5", "messages": [USER]}).encode()
    assert "of the Chat Completions API; nothing" in run("lint", "--api", "chat", "-", stdin=body).stdout
    assert "rejected  max_tokens: " in run("lint", "--api", "messages", "-", stdin=body).stdout
    done = run("lint", "--api", "responses", "-", stdin=body)
    assert (done.exit_code, "rejected  input: " in done.stdout) == (1, True)


@given(
    st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
            max_leaves=8,
        ).map(lambda body: json.dumps(body).encode()),
    )
)
def test_no_body_is_too_odd(raw: bytes) -> None:
    assert lint_body(raw, Settings()).kind


def test_many_images_are_noted(run: Run) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    body = question(messages=[{"role": "user", "content": [image] * 11}])
    assert "note      messages: 11 images" in run("lint", "-", stdin=json.dumps(body).encode()).stdout


def test_a_schema_that_is_none_is_rejected_and_an_odd_chat_body_is_not(run: Run, tmp_path: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "foo"}}}
    file = tmp_path / "body.json"
    file.write_text(json.dumps({"model": "auto", "messages": question()["messages"], "response_format": form}))
    bad = run("lint", "--api", "chat", str(file))
    assert bad.exit_code == 1, bad.output
    assert "no JSON schema" in bad.output
    file.write_text(json.dumps({"model": "auto", "input": "x"}))
    odd = run("lint", "--api", "chat", str(file))
    assert odd.exit_code == 0, odd.output
