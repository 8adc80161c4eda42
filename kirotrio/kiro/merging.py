"""One list of models for several accounts: it promises nothing that one of them could not keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from attrs import evolve

from kirotrio.conversation.request import Effort
from kirotrio.kiro.model_table import PROVEN, ModelProfile, Origin, ThinkingMode
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue

_T = TypeVar("_T", int, float)

_LEAST_FIRST: tuple[ThinkingMode, ...] = ("none", "tags", "native")
_SUREST_LAST: tuple[Origin, ...] = ("assumed", "table", "account")


def merged(catalogues: Iterable[Catalogue]) -> Catalogue:
    """The models that any of the accounts has, each with the least that those who have it allow.

    An account whose own list is not known yet has no say in what is listed while another's is; but then a name that is
    not listed may still be its model, so the result is not `complete`. Without any catalogue: the static one.
    """
    given = list(catalogues)
    if not given:
        return STATIC_CATALOGUE
    known = [catalogue for catalogue in given if catalogue.complete] or given
    found: dict[str, list[ModelProfile]] = {}
    for catalogue in known:
        for model in catalogue.models:
            found.setdefault(model.id.lower(), []).append(model)
    return Catalogue(map(_least, found.values()), complete=all(catalogue.complete for catalogue in given))


def _least(models: Sequence[ModelProfile]) -> ModelProfile:
    first = models[0]
    if len(models) == 1:
        return first
    efforts = tuple(effort for effort in Effort if all(effort in model.efforts for model in models))
    thinking = min((model.thinking for model in models), key=_LEAST_FIRST.index)
    if thinking == "native" and not efforts and any(model.efforts for model in models):
        thinking = "none"  # no level that all of them take
    if thinking != "native":
        efforts = ()
    default = first.default_effort
    origins = {name: min((model.provenance[name] for model in models), key=_SUREST_LAST.index) for name in PROVEN}
    return evolve(
        first,
        window=min(model.window for model in models),
        max_output=_smallest([model.max_output for model in models]),
        thinking=thinking,
        efforts=efforts,
        default_effort=default if default in efforts else next(iter(efforts), None),
        can_disable_thinking=all(model.can_disable_thinking for model in models),
        accepts_max_tokens=all(model.accepts_max_tokens for model in models),
        takes_images=all(model.takes_images for model in models),
        rate=_largest([model.rate for model in models]),
        listed=any(model.listed for model in models),
        origins={name: origin for name, origin in origins.items() if origin != "assumed"},
    )


def _smallest(values: Iterable[_T | None]) -> _T | None:
    return min((value for value in values if value is not None), default=None)


def _largest(values: Iterable[_T | None]) -> _T | None:
    """What it costs at most: the dearest of those that are known."""
    return max((value for value in values if value is not None), default=None)
