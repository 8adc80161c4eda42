"""Where a model's values come from, and one list for several accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.request import Effort
from kirotrio.errors import NotFound
from kirotrio.kiro.merging import merged
from kirotrio.kiro.model_table import MODEL_TABLE, PROVEN
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, ModelProfile, parse_models

SAMPLE = json.loads((Path(__file__).parent.parent / "data/kiro/list_available_models_sample.json").read_text())
LISTED = {model.id: model for model in parse_models(SAMPLE)}


def listed(**entry: Any) -> ModelProfile:
    (model,) = parse_models({"models": [entry]})
    return model


def test_the_recorded_list_says_where_each_value_is_from() -> None:
    assert dict(LISTED["claude-opus-4.8"].provenance) == {
        "window": "account",
        "max_output": "account",
        "thinking": "account",
        "efforts": "table",  # its schema names the field and spells no levels out
        "rate": "account",
        "takes_images": "account",
    }
    assert LISTED["gpt-5.6-sol"].provenance["window"] == "table"
    assert LISTED["gpt-5.6-sol"].provenance["efforts"] == "account"
    assert LISTED["gpt-5.6-sol"].provenance["max_output"] == "assumed"
    assert LISTED["auto"].provenance["window"] == "assumed"


def test_an_unknown_model_is_assumed_but_for_what_it_says() -> None:
    model = listed(modelId="newcomer-1", rateMultiplier=0.5)
    assert {name for name, origin in model.provenance.items() if origin != "assumed"} == {"rate"}
    passed_on = STATIC_CATALOGUE.resolve("claude-opus-9", aliases={})
    assert set(passed_on.provenance.values()) == {"assumed"}


def test_the_table_calls_assumed_what_nobody_has_confirmed() -> None:
    by_id = {model.id: model.provenance for model in MODEL_TABLE}
    assert by_id["claude-opus-5.5"]["window"] == "assumed"
    assert by_id["claude-sonnet-4.5"]["window"] == "table"
    assert by_id["claude-fable-5"]["rate"] == "assumed"
    assert listed(modelId="claude-opus-5.5", tokenLimits={"maxInputTokens": 5}).provenance["window"] == "account"


entries = st.fixed_dictionaries(
    {"modelId": st.sampled_from(["claude-opus-5.5", "gpt-5.6-sol", "glm-5", "auto", "newcomer"])},
    optional={
        "tokenLimits": st.fixed_dictionaries(
            {}, optional={"maxInputTokens": st.none() | st.integers(1, 10**6), "maxOutputTokens": st.integers(1, 10**6)}
        ),
        "rateMultiplier": st.none() | st.floats(0, 10),
        "supportedInputTypes": st.none() | st.lists(st.sampled_from(["TEXT", "IMAGE"])),
    },
)


@given(entries)
def test_a_value_is_the_accounts_exactly_if_the_account_says_it(entry: dict[str, Any]) -> None:
    model = listed(**entry)
    limits = entry.get("tokenLimits", {})
    says = {
        "window": limits.get("maxInputTokens") is not None,
        "max_output": limits.get("maxOutputTokens") is not None,
        "rate": entry.get("rateMultiplier") is not None,
        "takes_images": entry.get("supportedInputTypes") is not None,
    }
    for name, said in says.items():
        assert (model.provenance[name] == "account") == said, name
    assert set(model.provenance) == set(PROVEN)


def test_provenance_is_no_part_of_what_a_model_is() -> None:
    model = MODEL_TABLE[0]
    assert attrs.evolve(model, origins={}) == model
    assert hash(attrs.evolve(model, origins={})) == hash(model)


# -- several accounts ----------------------------------------------------------------------------------------------

thinking = st.sampled_from(["tags", "native", "none"])
profiles = st.builds(
    ModelProfile,
    id=st.sampled_from(["a", "b", "c", "d"]),
    name=st.just("x"),
    window=st.integers(1, 100),
    max_output=st.none() | st.integers(1, 100),
    thinking=thinking,
    efforts=st.lists(st.sampled_from(list(Effort)), unique=True).map(tuple),
    default_effort=st.none() | st.sampled_from(list(Effort)),
    can_disable_thinking=st.booleans(),
    accepts_max_tokens=st.booleans(),
    takes_images=st.booleans(),
    rate=st.none() | st.floats(0, 10),
    listed=st.booleans(),
)
catalogues = st.lists(profiles, min_size=1, max_size=4, unique_by=lambda model: model.id).map(
    lambda models: Catalogue(models, complete=True)
)


@given(st.lists(catalogues, min_size=1, max_size=4))
def test_a_merged_list_promises_nothing_that_one_account_could_not_keep(given_: list[Catalogue]) -> None:
    together = merged(given_)
    assert together.complete
    assert {model.id for model in together.models} == {model.id for one in given_ for model in one.models}
    for model in together.models:
        owners = [own for one in given_ for own in one.models if own.id == model.id]
        assert model.window == min(own.window for own in owners), "the smallest window, and one that there is"
        for own in owners:
            assert model.max_output is None or own.max_output is None or model.max_output <= own.max_output
            assert own.takes_images or not model.takes_images
            assert own.can_disable_thinking or not model.can_disable_thinking
            assert own.accepts_max_tokens or not model.accepts_max_tokens
            assert model.rate is None or own.rate is None or model.rate >= own.rate
            assert len(owners) == 1 or set(model.efforts) <= set(own.efforts)
            assert model.thinking != "native" or own.thinking == "native"
        if len(owners) > 1:
            assert model.default_effort is None or model.default_effort in model.efforts


@given(st.lists(catalogues, min_size=1, max_size=3), st.randoms())
def test_the_order_of_accounts_changes_no_limit(given_: list[Catalogue], random: Any) -> None:
    shuffled = random.sample(given_, len(given_))
    one, other = ({m.id: m for m in merged(order).models} for order in (given_, shuffled))
    assert one.keys() == other.keys()
    for name_of, model in one.items():
        for name in ("window", "max_output", "rate", "takes_images", "efforts", "thinking", "listed"):
            assert getattr(model, name) == getattr(other[name_of], name), name


def test_origins_of_merged_values_are_the_least_sure() -> None:
    told = listed(modelId="glm-5", tokenLimits={"maxInputTokens": 100_000})
    silent = listed(modelId="glm-5")
    (model,) = merged([Catalogue([told], complete=True), Catalogue([silent], complete=True)]).models
    assert (model.window, model.provenance["window"]) == (100_000, "table")


def test_an_account_that_was_not_asked_yet_has_no_say_in_the_listing() -> None:
    own = Catalogue([listed(modelId="glm-5")], complete=True)
    together = merged([STATIC_CATALOGUE, own])
    assert [model.id for model in together.models] == ["glm-5"]
    assert together.resolve("claude-opus-5", aliases={}).id == "claude-opus-5", "it may be the other account's"
    try:
        merged([own]).resolve("claude-opus-5", aliases={})
    except NotFound:
        pass
    else:
        raise AssertionError("the only account's own list is complete")
    assert [model.id for model in merged([STATIC_CATALOGUE, STATIC_CATALOGUE]).models] == [
        model.id for model in MODEL_TABLE
    ]
    assert merged([]) is STATIC_CATALOGUE
