"""The list of models in Anthropic's shape, as the newest SDK's `ModelInfo` has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from kirotrio.errors import BodyInvalid

DEFAULT_LIMIT = 20
MOST = 1000
EPOCH = "1970-01-01T00:00:00Z"
"""`created_at` where the date of release is unknown; the SDK's own types name it for that."""


@frozen
class ModelListing:
    """One model for the list. `created_at` is RFC 3339; windows are tokens, None where unknown."""

    id: str
    display_name: str
    created_at: str = EPOCH
    context_window: int | None = None
    max_output: int | None = None


def model_object(model: ModelListing) -> dict[str, Any]:
    """A `ModelInfo`. Capabilities are null: the upstream does not tell them, and half of them would be made up."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at,
        "lifecycle": "active",
        "line": None,
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output,
        "capabilities": None,
        "allowed_fallback_models": [],
        "deprecated_at": None,
        "retires_at": None,
    }


def models_page(
    models: Sequence[ModelListing],
    limit: int | None = None,
    before_id: str | None = None,
    after_id: str | None = None,
) -> dict[str, Any]:
    """One page: the first `limit` models, or those directly after `after_id`, or directly before `before_id`.

    `has_more` looks in the direction of the page. Raises BodyInvalid on a limit outside 1 to 1000, on a cursor
    that is no model, and on both cursors at once.
    """
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MOST:
        raise BodyInvalid("limit", f"must be between 1 and {MOST}")
    if before_id is not None and after_id is not None:
        raise BodyInvalid("before_id", "only one of before_id and after_id may be given")
    if before_id is not None:
        end = _position(models, before_id, "before_id")
        begin = max(0, end - size)
        more = begin > 0
    else:
        begin = 0 if after_id is None else _position(models, after_id, "after_id") + 1
        end = begin + size
        more = end < len(models)
    page = models[begin:end]
    return {
        "data": [model_object(model) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _position(models: Sequence[ModelListing], wanted: str, parameter: str) -> int:
    for index, model in enumerate(models):
        if model.id == wanted:
            return index
    raise BodyInvalid(parameter, f"must be the id of a model in the list, not {wanted!r}")
