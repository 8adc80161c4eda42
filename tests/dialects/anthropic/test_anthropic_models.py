"""The list of models, as the newest SDK reads and pages it."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo
from anthropic.types.beta import BetaModelInfo
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kirotrio.dialects.anthropic import ModelListing, model_object, models_page
from kirotrio.errors import BodyInvalid

SONNET = ModelListing("claude-sonnet-5", "Claude Sonnet 5", "2026-02-01T00:00:00Z", 1_000_000, 64_000)


def listed(count: int) -> list[ModelListing]:
    return [ModelListing(f"m{number}", f"Model {number}") for number in range(count)]


def test_one_model_has_every_field_of_the_newest_type() -> None:
    told = model_object(SONNET)
    assert told == {
        "type": "model",
        "id": "claude-sonnet-5",
        "display_name": "Claude Sonnet 5",
        "created_at": "2026-02-01T00:00:00Z",
        "lifecycle": "active",
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 64_000,
        "capabilities": None,
        "allowed_fallback_models": [],
        "deprecated_at": None,
        "retires_at": None,
    }
    for newest in (ModelInfo, BetaModelInfo):
        read: Any = TypeAdapter(newest).validate_python(told)
        assert set(newest.model_fields) <= set(told)
        assert read.max_input_tokens == 1_000_000


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
    assert models_page([]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_twenty_models_are_a_page_unless_more_are_asked_for() -> None:
    assert len(models_page(listed(30))["data"]) == 20
    assert len(models_page(listed(30), limit=1000)["data"]) == 30


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
