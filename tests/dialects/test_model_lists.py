"""The list of models, as both SDKs and Codex read it, and as Anthropic's pages it."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo
from anthropic.types.beta import BetaModelInfo
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model
from pydantic import TypeAdapter

from kirotrio.dialects.models import ModelListing, codex_object, model_object, models_page
from kirotrio.errors import BodyInvalid

SONNET = ModelListing(
    "claude-sonnet-5",
    "Claude Sonnet 5",
    1_000_000,
    64_000,
    owned_by="anthropic",
    efforts=("low", "high", "max"),
    default_effort="high",
    thinks=True,
)


def listed(count: int) -> list[ModelListing]:
    return [ModelListing(f"m{number}", f"Model {number}") for number in range(count)]


def test_one_model_has_every_field_of_the_newest_type() -> None:
    told = model_object(SONNET)
    assert told == {
        "id": "claude-sonnet-5",
        "object": "model",
        "created": 0,
        "owned_by": "anthropic",
        "type": "model",
        "display_name": "Claude Sonnet 5",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 64_000,
        "capabilities": None,
        "allowed_fallback_models": [],
        "deprecated_at": None,
        "retires_at": None,
        "shutdown_date": None,
    }
    for newest in (ModelInfo, BetaModelInfo):
        read: Any = TypeAdapter(newest).validate_python(told)
        assert set(newest.model_fields) <= set(told)
        assert read.max_input_tokens == 1_000_000
    assert set(Model.model_fields) <= set(told)
    assert Model.model_validate(told, strict=True).owned_by == "anthropic"


REQUIRED_BY_CODEX = {
    "slug": str,
    "display_name": str,
    "supported_reasoning_levels": list,
    "shell_type": str,
    "visibility": str,
    "supported_in_api": bool,
    "priority": int,
    "base_instructions": str,
    "supports_reasoning_summaries": bool,
    "support_verbosity": bool,
    "truncation_policy": dict,
    "supports_parallel_tool_calls": bool,
    "experimental_supported_tools": list,
}
"""Fields without which some version of Codex refuses the whole list (0.169 tried out, older ones read)."""


def test_codex_finds_every_field_that_it_insists_on() -> None:
    told = codex_object(SONNET, 3)
    assert {name: type(told[name]) for name in REQUIRED_BY_CODEX} == REQUIRED_BY_CODEX
    assert told["base_instructions"], "Codex refuses a model without instructions"
    assert (told["slug"], told["priority"], told["context_window"]) == ("claude-sonnet-5", 3, 1_000_000)
    assert [level["effort"] for level in told["supported_reasoning_levels"]] == ["low", "high", "max"]
    assert all(level["description"] for level in told["supported_reasoning_levels"])
    assert told["default_reasoning_level"] == "high"
    assert told["input_modalities"] == ["text", "image"]


def test_codex_is_told_of_each_model_once_and_in_order() -> None:
    glm = ModelListing("glm-5", "GLM 5", 200_000, takes_images=False)
    again = ModelListing("claude-glm-5", "GLM 5 via Kiro", 200_000, takes_images=False, repeats=True)
    page = models_page([SONNET, again, glm])
    assert [(m["slug"], m["priority"]) for m in page["models"]] == [("claude-sonnet-5", 0), ("glm-5", 1)]
    assert [m["id"] for m in page["data"]] == ["claude-sonnet-5", "claude-glm-5", "glm-5"]
    assert page["models"][1]["input_modalities"] == ["text"]
    assert page["models"][1]["default_reasoning_level"] is None


def ids(page: dict[str, Any]) -> list[str]:
    return [model["id"] for model in page["data"]]


def test_a_first_page_and_the_next() -> None:
    page = models_page(listed(5), limit=3)
    assert ids(page) == ["m0", "m1", "m2"]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, "m0", "m2")
    rest = models_page(listed(5), limit=3, after_id="m2")
    assert ids(rest) == ["m3", "m4"]
    assert not rest["has_more"]


def test_a_page_before_a_model() -> None:
    page = models_page(listed(5), limit=2, before_id="m4")
    assert ids(page) == ["m2", "m3"]
    assert page["has_more"]
    assert ids(models_page(listed(5), limit=2, before_id="m2")) == ["m0", "m1"]


def test_no_models_are_an_empty_page() -> None:
    page = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None, "models": []}
    assert models_page([]) == page


def test_all_models_are_one_page_unless_fewer_are_asked_for() -> None:
    page = models_page(listed(30))
    assert len(page["data"]) == len(page["models"]) == 30, "OpenAI's clients and Codex know no pages"
    assert page["object"] == "list"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"after_id": "x"}, "after_id"),
        ({"before_id": "x"}, "before_id"),
        ({"before_id": "m0", "after_id": "m0"}, "before_id"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, Any], path: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        models_page(listed(2), **query)
    assert caught.value.path == path


@given(st.integers(0, 12), st.integers(1, 5))
def test_paging_forward_and_back_meets_every_model_once(count: int, limit: int) -> None:
    models = listed(count)
    forward: list[str] = []
    page = models_page(models, limit)
    while True:
        forward += ids(page)
        if not page["has_more"]:
            break
        page = models_page(models, limit, after_id=page["last_id"])
    assert forward == [model.id for model in models]
    if count:
        backward: list[str] = []
        page = models_page(models, limit, before_id=models[-1].id)
        while True:
            backward = ids(page) + backward
            if not page["has_more"]:
                break
            page = models_page(models, limit, before_id=page["first_id"])
        assert [*backward, models[-1].id] == forward
