"""The list of models in one body that every client reads: both SDKs, Claude Code, and Codex.

`data` has what Anthropic's `ModelInfo` and OpenAI's `Model` ask for, in one object each; `models` is Codex's own form
(CLIENTS 5.2.9). Clients pass over what they do not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kirotrio.classes import frozen
from kirotrio.errors import BodyInvalid

MOST = 1000
EPOCH = "1970-01-01T00:00:00Z"
"""`created_at` where the date of release is unknown; the SDK's own types name it for that. `created` then is 0."""

_EFFORTS = {
    "none": "No thinking",
    "low": "Little thinking, quick answers",
    "medium": "Some thinking",
    "high": "Much thinking, for hard problems",
    "xhigh": "More thinking than high",
    "max": "As much thinking as the model can do",
}
_INSTRUCTIONS = "You are a coding agent that works in the user's workspace through the Codex program and its tools."
"""Codex refuses its whole list where a model has none."""


@frozen
class ModelListing:
    """One model for the list, or one more name of a model.

    `max_output` is in tokens, None where unknown, like `context_window`. `efforts` are the levels of thinking, weakest
    first. `repeats`: another entry is the same model under its own name, and Codex, which knows no makers, lists that.
    """

    id: str
    display_name: str
    context_window: int | None = None
    max_output: int | None = None
    owned_by: str = "kiro"
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    thinks: bool = False
    takes_images: bool = True
    repeats: bool = False


def model_object(model: ModelListing) -> dict[str, Any]:
    """A model for both SDKs. Capabilities are null: the upstream does not tell them, half of them would be made up."""
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.owned_by,
        "type": "model",
        "display_name": model.display_name,
        "created_at": EPOCH,
        "lifecycle": "active",
        "line": None,
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output,
        "capabilities": None,
        "allowed_fallback_models": [],
        "deprecated_at": None,
        "retires_at": None,
        "shutdown_date": None,
    }


def codex_object(model: ModelListing, priority: int) -> dict[str, Any]:
    """A model for Codex; the first in order of `priority` is its default. Every field that some version insists on."""
    return {
        "slug": model.id,
        "display_name": model.display_name,
        "description": None,
        "default_reasoning_level": model.default_effort,
        "supported_reasoning_levels": [
            {"effort": effort, "description": _EFFORTS.get(effort, effort)} for effort in model.efforts
        ],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "priority": priority,
        "availability_nux": None,
        "upgrade": None,
        "base_instructions": _INSTRUCTIONS,
        "supports_reasoning_summaries": model.thinks,
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": None,
        "truncation_policy": {"mode": "bytes", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "context_window": model.context_window,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if model.takes_images else ["text"],
    }


def models_page(
    models: Sequence[ModelListing],
    limit: int = MOST,
    before_id: str | None = None,
    after_id: str | None = None,
) -> dict[str, Any]:
    """One page: the first `limit` models, or those directly after `after_id`, or directly before `before_id`.

    `has_more` looks in the direction of the page. Without a limit the page has every model there is, since OpenAI's
    list knows no pages. Raises BodyInvalid on a limit outside 1 to 1000, on a cursor that is no model, and on both
    cursors at once.
    """
    if not 1 <= limit <= MOST:
        raise BodyInvalid("limit", f"must be a whole number from 1 to {MOST}")
    if before_id is not None and after_id is not None:
        raise BodyInvalid("before_id", "only one of before_id and after_id may be given")
    if before_id is not None:
        end = _position(models, before_id, "before_id")
        begin = max(0, end - limit)
        more = begin > 0
    else:
        begin = 0 if after_id is None else _position(models, after_id, "after_id") + 1
        end = begin + limit
        more = end < len(models)
    page = models[begin:end]
    own = [model for model in page if not model.repeats]
    return {
        "object": "list",
        "data": [model_object(model) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "models": [codex_object(model, priority) for priority, model in enumerate(own)],
    }


def _position(models: Sequence[ModelListing], wanted: str, parameter: str) -> int:
    for index, model in enumerate(models):
        if model.id == wanted:
            return index
    raise BodyInvalid(parameter, f"must be the id of a model in the list, not {wanted!r}")
