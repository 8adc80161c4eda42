"""Names of models, and the account's own list laid over the table."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.conversation.request import Effort
from kirotrio.errors import NotFound, SettingsError, UpstreamFailed
from kirotrio.kiro.model_table import MODEL_TABLE
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, ModelProfile, normalise, parse_models

SAMPLE = json.loads((Path(__file__).parent.parent / "data/kiro/list_available_models_sample.json").read_text())
ACCOUNT = Catalogue(parse_models(SAMPLE), complete=True)
BY_ID = {model.id: model for model in MODEL_TABLE}


def resolved(name: str, catalogue: Catalogue = STATIC_CATALOGUE, **settings: Any) -> str:
    return catalogue.resolve(name, **{"aliases": {}, **settings}).id


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("Claude-Sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-opus-4-6[1m]", "claude-opus-4.6"),
        ("claude-opus-4-6 [1m]", "claude-opus-4.6"),
        ("claude-sonnet-4.5-1m", "claude-sonnet-4.5"),
        ("claude-opus-4-5-thinking", "claude-opus-4.5"),
        ("claude-opus-4-5-20251101-thinking", "claude-opus-4.5"),
        ("claude-opus-4-5:thinking", "claude-opus-4.5"),
        ("claude-haiku-4-5-latest", "claude-haiku-4.5"),
        ("anthropic/claude-opus-4.6", "claude-opus-4.6"),
        ("openrouter/anthropic/claude-opus-4.6", "claude-opus-4.6"),
        ("bedrock/anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4.5"),
        ("claude-4.5-opus-high", "claude-opus-4.5"),
        ("claude-4-sonnet", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-sonnet-5.0", "claude-sonnet-5"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
        ("claude-3-5-sonnet-latest", "claude-sonnet-4.5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-4.5"),
        ("claude-3-7-sonnet-20250219", "claude-sonnet-4.5"),
        ("CLAUDE_SONNET_4_5_20250929_V1_0", "claude-sonnet-4.5"),
        ("CLAUDE_3_7_SONNET_20250219_V1_0", "claude-sonnet-4.5"),
        ("gpt-4o", "claude-sonnet-4.5"),
        ("gpt-5-6-sol", "gpt-5.6-sol"),
        ("openai/gpt-5.6-luna", "gpt-5.6-luna"),
        ("minimax-m2-5", "minimax-m2.5"),
        ("auto-kiro", "auto"),
        ("kimi-k2-thinking", "kimi-k2-thinking"),
        ("gpt-4-32k", "gpt-4-32k"),
    ],
)
def test_normalisation(written: str, meant: str) -> None:
    assert normalise(written) == meant


@pytest.mark.parametrize("model", MODEL_TABLE, ids=lambda model: model.id)
def test_every_known_id_means_itself(model: ModelProfile) -> None:
    assert normalise(model.id) == model.id
    assert STATIC_CATALOGUE.resolve(model.id.upper(), aliases={}) is model


names = st.lists(
    st.sampled_from(
        ["claude", "opus", "3", "4", "5", "0", "20250101", "thinking", "high", "gpt", "4o", "us.anthropic."]
    ),
    max_size=6,
).map("-".join) | st.text(max_size=30)


@given(names, st.sampled_from(["", "[1m]", "-1m", "-v1:0", "-20250101", "-thinking"]))
def test_normalisation_is_finished_after_one_go(name: str, suffix: str) -> None:
    once = normalise(name + suffix)
    assert once == once.lower()
    assert normalise(once) == once


def test_nothing_falls_across_families_or_to_an_older_version() -> None:
    with pytest.raises(NotFound) as missing:
        resolved("claude-opus-9", ACCOUNT)
    assert "claude-opus-9" in missing.value.message
    for listed in ("claude-opus-4.8", "gpt-5.6-sol", "claude-opus-4.7", "auto"):
        assert listed in missing.value.message, "the models of this account are named"
    assert missing.value.model == "claude-opus-9"
    for other in ("claude-sonnet-4-8", "sonnet", "gpt-5.6", "glm-5", ""):
        with pytest.raises(NotFound):
            resolved(other, ACCOUNT)


def test_without_the_accounts_list_an_unknown_model_is_left_to_the_upstream() -> None:
    model = STATIC_CATALOGUE.resolve("anthropic/claude-opus-9-1-20290101", aliases={})
    assert (model.id, model.family, model.thinking, model.window) == ("claude-opus-9.1", "claude", "none", 200_000)
    assert not model.listed
    assert resolved("AGI_NOVA_SWE_V1_5") == "AGI_NOVA_SWE_V1_5", "internal ids keep their capitals"


@pytest.mark.parametrize("name", ["", " ", "no such model", "9", "\x00", "x" * 65, "modell-ä"])
def test_what_cannot_be_a_model_is_refused_here(name: str) -> None:
    with pytest.raises(NotFound, match="models known here"):
        resolved(name)


def test_a_family_without_a_version_means_its_newest() -> None:
    assert resolved("sonnet") == "claude-sonnet-5.5"
    assert resolved("claude-opus") == "claude-opus-5.5"
    assert resolved("claude-haiku-latest") == "claude-haiku-4.5"
    assert resolved("opus", ACCOUNT) == "claude-opus-4.8", "the newest that this account has"
    ten = Catalogue([ModelProfile("claude-opus-9", ""), ModelProfile("claude-opus-10", "")], complete=True)
    assert resolved("opus", ten) == "claude-opus-10", "versions are numbers"


def test_a_listed_id_is_taken_before_any_normalisation() -> None:
    own = Catalogue(parse_models({"models": [{"modelId": "claude-sonnet-4.5-1m"}, {"modelId": "claude-sonnet-4.5"}]}))
    assert resolved("claude-sonnet-4.5-1m", own) == "claude-sonnet-4.5-1m"
    assert resolved("claude-sonnet-4-5", own) == "claude-sonnet-4.5"


def test_aliases() -> None:
    aliases = {"fast": "Small", "small": "claude-haiku-4-5", "claude-opus-4.8": "claude-opus-4.8"}
    assert resolved("FAST", aliases=aliases) == "claude-haiku-4.5"
    assert resolved("claude-opus-4.8", aliases=aliases) == "claude-opus-4.8"
    assert resolved("claude-sonnet-5", aliases={"claude-sonnet-5": "gpt-5.6-sol"}) == "gpt-5.6-sol"
    with pytest.raises(SettingsError, match=r"^models\.alias: a → b → a runs in a circle"):
        resolved("a", aliases={"a": "b", "b": "a"})


@pytest.mark.parametrize("model", [model for model in MODEL_TABLE if model.family != "claude"])
def test_other_makers_models_have_a_claude_name_too(model: ModelProfile) -> None:
    alias = STATIC_CATALOGUE.claude_alias(model)
    assert alias == f"claude-{model.id}"
    for written in (alias, alias.upper(), f"{alias}[1m]", f"anthropic/{alias}"):
        assert resolved(written) == model.id, "clients write models in many ways"
        assert resolved(written, Catalogue(MODEL_TABLE, complete=True), default="opus") == model.id


def test_claudes_own_models_have_no_other_name() -> None:
    assert [STATIC_CATALOGUE.claude_alias(model) for model in MODEL_TABLE if model.family == "claude"] == [None] * sum(
        model.family == "claude" for model in MODEL_TABLE
    )
    own = Catalogue(MODEL_TABLE, complete=True)
    for name in ("claude-claude-sonnet-4.5", "claude-gpt-4o", "claude-nothing-9"):
        with pytest.raises(NotFound):
            resolved(name, own)


def test_a_claude_name_never_hides_a_claude() -> None:
    odd = Catalogue([ModelProfile("claude-max-1", "", family="claude"), ModelProfile("max-1", "")], complete=True)
    assert resolved("claude-max-1", odd) == "claude-max-1"
    assert odd.claude_alias(odd.models[1]) is None, "the name is another model's"


def test_a_claude_name_may_end_in_what_is_taken_off_claudes_own_names() -> None:
    own = Catalogue([ModelProfile("qwen-max", ""), ModelProfile("qwen", "")], complete=True)
    assert [resolved(own.claude_alias(model) or "", own) for model in own.models] == ["qwen-max", "qwen"]


def test_an_alias_goes_before_a_claude_name() -> None:
    assert resolved("claude-glm-5", aliases={"claude-glm-5": "opus"}) == "claude-opus-5.5"


def test_the_default_stands_in_for_unknown_names_only() -> None:
    assert resolved("claude-opus-4.7", ACCOUNT, default="claude-opus-4.8") == "claude-opus-4.7"
    assert resolved("gpt-9", ACCOUNT, default="opus") == "claude-opus-4.8"
    assert resolved("gpt-9", ACCOUNT, default="mine", aliases={"mine": "claude-opus-4.7"}) == "claude-opus-4.7"
    with pytest.raises(NotFound):
        resolved("gpt-9", ACCOUNT, default="gpt-10")


def test_the_sample_list_is_laid_over_the_table() -> None:
    models = {model.id: model for model in parse_models(SAMPLE)}
    assert list(models) == ["claude-opus-4.8", "gpt-5.6-sol", "claude-opus-4.7", "auto"]
    assert all(model.listed for model in models.values())
    opus = models["claude-opus-4.8"]
    assert (opus.window, opus.max_output, opus.rate, opus.takes_images) == (1_000_000, 64_000, 1.0, True)
    assert opus.efforts == BY_ID["claude-opus-4.8"].efforts, "a schema without an enum leaves the table's efforts"
    older = models["claude-opus-4.7"]
    assert older.efforts == (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.MAX)
    assert older.default_effort is Effort.HIGH, "the table's xhigh is not allowed here: the next weaker one"
    assert models["gpt-5.6-sol"].efforts[0] is Effort.NONE
    assert models["gpt-5.6-sol"].window == 272_000


def entry(**members: Any) -> ModelProfile:
    return parse_models({"models": [{"modelId": "claude-sonnet-4.5", **members}]})[0]


def test_null_limits_leave_the_tables_figures() -> None:
    assert entry(tokenLimits={"maxInputTokens": None, "maxOutputTokens": None}).window == 200_000
    assert entry(tokenLimits={"maxInputTokens": None, "maxOutputTokens": None}).max_output == 64_000
    assert entry(tokenLimits=None).window == 200_000
    assert entry(tokenLimits={"maxInputTokens": 1_000_000.0}).window == 1_000_000
    assert entry(tokenLimits={"maxInputTokens": True}).window == 200_000


def test_input_types_decide_about_images() -> None:
    assert not entry(supportedInputTypes=["TEXT"]).takes_images
    assert entry(supportedInputTypes=["TEXT", "image"]).takes_images
    assert entry().takes_images


def test_a_schema_makes_a_model_native() -> None:
    kinds = {"properties": {"type": {"enum": ["adaptive", "between_tools"]}}}
    effort = {"properties": {"effort": {"enum": ["low", "high"], "default": "low"}}}
    schema = {"properties": {"thinking": kinds, "output_config": effort}, "additionalProperties": False}
    model = entry(additionalModelRequestFieldsSchema=schema)
    assert (model.thinking, model.efforts, model.default_effort) == ("native", (Effort.LOW, Effort.HIGH), Effort.LOW)
    assert not model.can_disable_thinking
    assert not model.accepts_max_tokens
    schema = {"properties": {"output_config": {}, "max_tokens": {"type": "integer"}}}
    assert entry(additionalModelRequestFieldsSchema=schema).accepts_max_tokens
    silent: list[Any] = [None, {}, {"properties": None}, {"properties": {"reasoning": {}}}]
    for nothing in silent:
        assert entry(additionalModelRequestFieldsSchema=nothing).thinking == "tags"


@pytest.mark.parametrize("answer", [None, [], {}, {"models": None}, {"models": {}}, "x"])
def test_an_answer_that_is_no_list_says_so(answer: Any) -> None:
    with pytest.raises(UpstreamFailed, match="list of models"):
        parse_models(answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["properties", "output_config", "effort", "enum", "thinking", "type", "maxInputTokens"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
entries = st.dictionaries(
    st.sampled_from(
        [
            "modelName",
            "tokenLimits",
            "supportedInputTypes",
            "rateMultiplier",
            "additionalModelRequestFieldsSchema",
        ]
    ),
    json_values,
)


@given(st.sampled_from(["claude-opus-4.8", "gpt-5.6-sol", "glm-5", "new"]), entries, json_values)
@example("claude-opus-4.8", {"rateMultiplier": float("nan")}, None)
@example("new", {"rateMultiplier": float("inf")}, None)
@example("new", {"rateMultiplier": 10**400}, None)
def test_no_entry_is_too_odd(model_id: str, members: dict[str, Any], rubbish: Any) -> None:
    models = parse_models({"models": [rubbish, {**members, "modelId": model_id}], "defaultModel": rubbish})
    model = next(model for model in models if model.id == model_id)
    assert model.window > 0
    assert model.max_output is None or model.max_output > 0
    assert model.default_effort is None or model.default_effort in model.efforts
    assert model.rate is None or math.isfinite(model.rate)
    assert Catalogue(models, complete=True).resolve(model_id, aliases={}) == model


def test_the_table_is_consistent() -> None:
    assert len(BY_ID) == len(MODEL_TABLE)
    for model in MODEL_TABLE:
        assert (model.thinking == "native") == bool(model.efforts), model.id
        assert model.default_effort in model.efforts if model.efforts else model.default_effort is None, model.id
        assert model.family == "claude" or not model.accepts_max_tokens, model.id
        assert Effort.XHIGH not in model.efforts or not model.id.endswith("4.6"), model.id
