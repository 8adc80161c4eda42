"""`kirotrio lint`: what is said of a body, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.cli.lint import lint_body
from kirotrio.config.settings import Settings

Run = Callable[..., Result]


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


@given(
    st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["messages", "conversationState", "model", "role", "content"]), inner)
            ),
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
