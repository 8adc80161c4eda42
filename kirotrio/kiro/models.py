"""Which model a name means, and what the account's own list says of each (KIRO_PROTOCOL 7.1, 6.1, 2.5).

Clients write one model in a dozen ways (`us.anthropic.claude-sonnet-4-5-20250929-v1:0`). A name is brought to
Kiro's spelling and then looked up. It never falls to another family, nor to an older version than it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from kirotrio.conversation.request import Effort, Json
from kirotrio.errors import NotFound, SettingsError, UpstreamFailed
from kirotrio.kiro.model_table import MODEL_TABLE, Family, ModelProfile, Origin, ThinkingMode

__all__ = [
    "STATIC_CATALOGUE",
    "Catalogue",
    "Family",
    "ModelProfile",
    "Origin",
    "ThinkingMode",
    "normalise",
    "parse_models",
]

_KNOWN = {model.id: model for model in MODEL_TABLE}

# -- names -----------------------------------------------------------------------------------------------------------

_VENDOR = re.compile(r"(?:[a-z]+\.)+(?=[a-z])")
"""`us.anthropic.`, `anthropic.`: dotted words without a digit, ahead of the name."""
_LONG_CONTEXT = re.compile(r"\[1m\]|-1m$")
_REVISION = re.compile(r"-v\d+(?:[:-]\d+)?$|:\d+$|:thinking$|@(?:latest|default)$")
_DATE = re.compile(r"[-@]\d{8}$")
_CLAUDE_SUFFIX = re.compile(r"-(?:thinking|latest|low|medium|high|xhigh|max)$")
_VERSION = re.compile(r"(?<![\d.])(\d{1,2})-(\d{1,2})(?=-\D|$)")
_POINT_ZERO = re.compile(r"(?<=\d)\.0(?=-\D|$)")
_OLD_ORDER = re.compile(r"claude-(\d{1,2}(?:\.\d{1,2})?)-([a-z]+)")
_RETIRED = re.compile(r"claude-(opus|sonnet|haiku)-3(?:\.\d)?")
_VERSIONLESS = re.compile(r"(?:claude-)?([a-z]+)")
_VERSIONED = re.compile(r"claude-([a-z]+)-(\d+)(?:\.(\d+))?")
_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,63}")

_ALIAS = "claude-"
_LONGEST_NAME = 200
"""Characters; more is no name, and need not be looked at."""
_LEGACY = {"auto-kiro": "auto", "gpt-4o": "claude-sonnet-4.5"}
"""Names that programs have built in and that always meant these (KIRO_PROTOCOL 7.1)."""


def normalise(name: str) -> str:
    """A model's name in Kiro's spelling; a name that needs nothing done is only lower-cased.

    Takes off: paths and vendors ahead (`anthropic/`, `us.anthropic.`, `bedrock/`), `[1m]`, `-1m`, dates, revisions,
    and from Claude's names `-thinking`, `-latest` and an effort. Then `4-5` → `4.5`, `5.0` → `5`, the old order
    `claude-4.5-opus` → `claude-opus-4.5`. A Claude 3 means the 4.5 of its line, since it is retired.
    """
    short = name.strip().lower()[:_LONGEST_NAME].rpartition("/")[2]
    if vendor := _VENDOR.match(short):
        short = short[vendor.end() :]
    if short.startswith("claude_"):  # the internal ids: CLAUDE_SONNET_4_5_20250929_V1_0
        short = short.replace("_", "-")
    before = ""
    while short != before:  # suffixes stand in any order
        before = short
        short = _DATE.sub("", _REVISION.sub("", _LONG_CONTEXT.sub("", short).strip()))
        if short.startswith("claude-"):
            short = _CLAUDE_SUFFIX.sub("", short)
        short = _POINT_ZERO.sub("", _VERSION.sub(r"\1.\2", short))
    if old := _OLD_ORDER.fullmatch(short):
        short = f"claude-{old[2]}-{old[1]}"
    if retired := _RETIRED.fullmatch(short):
        short = f"claude-{retired[1]}-4.5"
    return _LEGACY.get(short, short)


class Catalogue:
    """The models there are, and the way from a name to one of them. Immutable.

    `complete`: this is the account's own list, so what is not in it does not exist. Otherwise a name that could be
    a model is passed on as it is, and the upstream decides: Kiro adds models without asking us.
    """

    def __init__(self, models: Iterable[ModelProfile], *, complete: bool = False) -> None:
        self.models = tuple(models)
        self.complete = complete
        self._by_id = {model.id.lower(): model for model in self.models}

    def resolve(self, name: str, *, aliases: Mapping[str, str], default: str = "") -> ModelProfile:
        """The model that `name` means. `aliases` and `default` are the settings `models.alias` and `models.default`.

        In this order: an alias, a model's own id, its normalised name, the newest of a family that was named without
        a version (`sonnet`), another maker's model behind `claude-`, the default. Raises NotFound with the models
        there are, SettingsError for aliases that run in a circle.
        """
        wanted = _unaliased(name, aliases)
        found = self._find(wanted)
        if found is None and default:
            fallback = _unaliased(default, aliases)
            found = self._find(fallback) or self._passed_on(fallback)
        found = found or self._passed_on(wanted)
        if found is None:
            raise self.unknown(name)
        return found

    def unknown(self, name: str) -> NotFound:
        """The answer to a name that is no model here."""
        names = ", ".join(model.id for model in self.models if model.listed)
        there_are = f"it has: {names}" if self.complete else f"models known here: {names}"
        return NotFound(f"model {name[:_LONGEST_NAME]!r} is not available to this account; {there_are}", model=name)

    def claude_alias(self, model: ModelProfile) -> str | None:
        """A second name for another maker's model, which Claude Code lists too: `claude-glm-5` (CLIENTS B 5.1).

        None for Claude's own models, and where that name is another model's.
        """
        alias = _ALIAS + model.id.lower()
        return alias if model.family != "claude" and self._find(alias) is model else None

    def _find(self, name: str) -> ModelProfile | None:
        if found := self._by_id.get(name.strip().lower()):
            return found
        short = normalise(name)
        return self._by_id.get(short) or self._newest(short) or self._other_maker(name, short)

    def _other_maker(self, name: str, short: str) -> ModelProfile | None:
        """The model that `claude-` was put before. Both spellings count: of Claude's names, endings are taken off."""
        for spelt in (name.strip().lower(), short):
            rest = spelt.removeprefix(_ALIAS)
            if rest == spelt:
                continue
            found = self._by_id.get(rest) or self._by_id.get(normalise(rest))
            if found is not None and found.family != "claude":
                return found
        return None

    def _newest(self, short: str) -> ModelProfile | None:
        named = _VERSIONLESS.fullmatch(short)
        if named is None:
            return None
        newest: tuple[tuple[int, int], ModelProfile] | None = None
        for model in self.models:
            version = _VERSIONED.fullmatch(model.id.lower())
            if version is None or version[1] != named[1] or not model.listed:
                continue
            number = (int(version[2]), int(version[3] or 0))
            if newest is None or number > newest[0]:
                newest = (number, model)
        return newest[1] if newest else None

    def _passed_on(self, name: str) -> ModelProfile | None:
        if self.complete:
            return None
        short = normalise(name)
        # Internal ids are in capitals; only where more than case was changed is the changed name the better one.
        spelt = name.strip() if short == name.strip().lower() else short
        if not _WELL_FORMED.fullmatch(spelt):
            return None
        return ModelProfile(spelt, spelt, family=_family(short), listed=False)


def _unaliased(name: str, aliases: Mapping[str, str]) -> str:
    """Follows aliases, whatever their case, to a name that is none."""
    if not aliases:
        return name
    targets = {alias.strip().lower(): target for alias, target in aliases.items()}
    seen: list[str] = []
    key = name.strip().lower()
    while key in targets:
        # An alias for itself is a way to say: take this name as it is.
        if targets[key].strip().lower() == key:
            return targets[key]
        if key in seen:
            raise SettingsError(f"models.alias: {' → '.join([*seen, key])} runs in a circle; it has to end at a model")
        seen.append(key)
        name = targets[key]
        key = name.strip().lower()
    return name


# -- the account's list ----------------------------------------------------------------------------------------------


def parse_models(answer: Json) -> tuple[ModelProfile, ...]:
    """The models of a ListAvailableModels answer (KIRO_PROTOCOL 6.1), each merged over what the table knows of it.

    What the answer leaves out or gives as null is taken from the table; an entry without an id is passed over.
    Raises UpstreamFailed where the answer is not a list of models.
    """
    entries = answer.get("models") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise UpstreamFailed("Kiro's list of models has no `models`; check `upstream.flavour` and `upstream.url`")
    models: dict[str, ModelProfile] = {}
    for entry in [*entries, answer.get("defaultModel")]:
        model_id = entry.get("modelId") if isinstance(entry, dict) else None
        if isinstance(model_id, str) and model_id and model_id not in models:
            models[model_id] = _merged(model_id, entry)
    return tuple(models.values())


def _rate(value: Json) -> float | None:
    """None for what is no number that can be reckoned with."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        rate = float(value)
    except OverflowError:
        return None
    return rate if math.isfinite(rate) else None


def _merged(id: str, entry: Mapping[str, Json]) -> ModelProfile:
    model = _KNOWN.get(id.lower()) or ModelProfile(id, id, family=_family(id.lower()))
    limits = entry.get("tokenLimits")
    limits = limits if isinstance(limits, dict) else {}
    inputs = entry.get("supportedInputTypes")
    name = entry.get("modelName")
    told: dict[str, Any] = {
        "window": _tokens(limits.get("maxInputTokens")),
        "max_output": _tokens(limits.get("maxOutputTokens")),
        "takes_images": "IMAGE" in map(str.upper, map(str, inputs)) if isinstance(inputs, list) else None,
        "rate": _rate(entry.get("rateMultiplier")),
    }
    told = {value: said for value, said in told.items() if said is not None}
    model = evolve(
        model,
        id=id,
        name=name if isinstance(name, str) and name else model.name,
        listed=True,
        origins=_by_account(model, *told),
        **told,
    )
    schema = entry.get("additionalModelRequestFieldsSchema")
    return _with_schema(model, schema) if isinstance(schema, dict) else model


def _by_account(model: ModelProfile, *names: str) -> Mapping[str, Origin]:
    return {**model.origins, **dict.fromkeys(names, "account")}


def _with_schema(model: ModelProfile, schema: Mapping[str, Json]) -> ModelProfile:
    """What the schema of `additionalModelRequestFields` says of thinking, effort and output limit (KIRO_PROTOCOL 2.5).

    A schema without the family's own field says nothing; a member that it only names leaves the table's word.
    """
    properties = _object(schema.get("properties"))
    match model.family:
        case "claude" if "output_config" in properties or "thinking" in properties:
            level = _at(properties, "output_config", "effort")
        case "gpt" if "reasoning" in properties:
            level = _at(properties, "reasoning", "effort")
        case _:
            return model
    named = level.get("enum")
    told = ("thinking", "efforts") if isinstance(named, list) else ("thinking",)
    efforts = tuple(e for e in Effort if e.value in named) if isinstance(named, list) else model.efforts
    default = next((e for e in efforts if e.value == level.get("default")), None)
    kinds = _object(_object(_object(properties.get("thinking")).get("properties")).get("type")).get("enum")
    closed = schema.get("additionalProperties") is False
    return evolve(
        model,
        thinking="native",
        efforts=efforts,
        default_effort=default or _nearest(efforts, model.default_effort),
        can_disable_thinking="disabled" in kinds if isinstance(kinds, list) else model.can_disable_thinking,
        accepts_max_tokens="max_tokens" in properties or (model.accepts_max_tokens and not closed),
        origins=_by_account(model, *told),
    )


def _nearest(efforts: tuple[Effort, ...], wanted: Effort | None) -> Effort | None:
    """`wanted`, or the strongest allowed below it, or the weakest allowed."""
    if wanted is None or wanted in efforts:
        return wanted
    strength = list(Effort).index
    weaker = [effort for effort in efforts if strength(effort) < strength(wanted)]
    return max(weaker, key=strength) if weaker else min(efforts, key=strength, default=None)


def _at(properties: Mapping[str, Json], outer: str, inner: str) -> Mapping[str, Json]:
    """The schema of `outer.inner`, empty where it is not spelt out."""
    return _object(_object(_object(properties.get(outer)).get("properties")).get(inner))


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _tokens(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return None
    return int(value) or None


def _family(id: str) -> Family:
    if id.startswith("claude"):
        return "claude"
    return "gpt" if id.startswith(("gpt", "openai")) else "other"


STATIC_CATALOGUE = Catalogue(MODEL_TABLE)
"""What is offered until the account has been asked."""
