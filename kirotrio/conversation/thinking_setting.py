"""What a client asks about thinking, in whatever spelling, and when thinking is left out or shown.

A client's `thinking` member is read leniently: strings and types in any case; what is not understood leaves the
default and is told in a sentence for the diagnostics.
"""

from __future__ import annotations

from typing import Final, Literal, TypeGuard

from kirotrio.conversation.request import Conversation, Effort, Json, ThinkingSetting

DEFAULT_BUDGET: Final = 200_000
"""Thinking tokens where the client names none."""

SMALLEST_MAX_TOKENS: Final = 4096
"""Below this `max_tokens` nobody is made to think unasked: the thought could use up the whole answer."""

_DISPLAYS: Final = ("summarized", "omitted", "updates")
_SPELLINGS: Final = (
    'say true, false, "enabled", "disabled", {"type": "enabled", "budget_tokens": N}, {"type": "adaptive"} '
    'or {"type": "disabled"}'
)


def is_thinking_enabled(config: Json, default: bool = True) -> bool:
    """Whether a client's `thinking` member turns thinking on; `default` where it is absent or not understood."""
    switch = _switch(config)
    return default if switch is None else switch


def get_thinking_budget(config: Json) -> int:
    """`budget_tokens` of a client's `thinking` member if it is a positive integer, else 200000."""
    budget = config.get("budget_tokens") if isinstance(config, dict) else None
    return budget if _is_budget(budget) else DEFAULT_BUDGET


def read_thinking(
    config: Json, *, default: bool, effort: Json, accepted: bool
) -> tuple[ThinkingSetting, tuple[str, ...]]:
    """The thinking setting, and a sentence for everything in it that was not understood.

    `config` is the body's `thinking` and `effort` its `output_config.effort`, both as decoded, None if absent.
    `accepted`: the client's betas or its history show that it takes thinking blocks.
    An effort of "none" turns thinking off where the client does not turn it on in so many words.
    """
    sentences: list[str] = []
    switch = _switch(config)
    if switch is None and config is not None:
        sentences.append(f"not understood, so thinking is {'on' if default else 'off'} as by default: {_SPELLINGS}")
    display: str | None = None
    if isinstance(config, dict):
        budget = config.get("budget_tokens")
        if budget is not None and not _is_budget(budget) and switch:
            sentences.append(f"budget_tokens has to be a positive integer; {DEFAULT_BUDGET} is used")
        wanted = config.get("display")
        display = wanted.lower() if isinstance(wanted, str) else None
        if display not in _DISPLAYS:
            display = None
            if wanted is not None:
                sentences.append(f"display has to be one of {', '.join(_DISPLAYS)}; it is left out")
    level, complaint = _read_effort(effort)
    if complaint:
        sentences.append(complaint)
    if level is Effort.NONE and switch is True:
        level = None
        sentences.append("effort none contradicts thinking being on; thinking stays on, at the model's own effort")
    enabled = default if switch is None else switch
    setting = ThinkingSetting(
        enabled=enabled and level is not Effort.NONE,
        budget=get_thinking_budget(config),
        asked=switch is True,
        accepted=accepted or switch is True,
        display=display,
        effort=level,
    )
    return setting, tuple(sentences)


def thinking_withheld(conversation: Conversation) -> str | None:
    """Why thinking is left out although the default turns it on; None where it is not left out.

    Thinking that the client did not ask for must never cost it its answer. What it asked for is never withheld.
    """
    setting = conversation.thinking
    if setting.asked or not setting.enabled:
        return None
    max_tokens = conversation.limits.max_tokens
    if max_tokens is not None and max_tokens < SMALLEST_MAX_TOKENS:
        return f"max_tokens is {max_tokens}, below {SMALLEST_MAX_TOKENS}"
    if conversation.tool_choice.forced:
        return "the request forces a tool call"
    if conversation.output_schema is not None:
        return "the request forces an answer by JSON schema"
    if conversation.has_prefill:
        return "the request begins the assistant's answer itself"
    return None


def shows_thinking(setting: ThinkingSetting, show: Literal["auto", "always", "never"]) -> bool:
    """Whether the client is given thinking blocks. auto: it asked for them, or is known to take them."""
    if show == "auto":
        return setting.asked or setting.accepted
    return show == "always"


def _switch(config: Json) -> bool | None:
    """On, off, or None: absent or not understood."""
    if isinstance(config, bool):
        return config
    if isinstance(config, str):
        return {"enabled": True, "disabled": False}.get(config.lower())
    if not isinstance(config, dict):
        return None
    kind = config.get("type")
    if kind is None:
        return True if _is_budget(config.get("budget_tokens")) else None
    if not isinstance(kind, str):
        return None
    return {"enabled": True, "adaptive": True, "disabled": False}.get(kind.lower())


def _is_budget(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _read_effort(value: Json) -> tuple[Effort | None, str]:
    if value is None:
        return None, ""
    if isinstance(value, str):
        try:
            return Effort(value.lower()), ""
        except ValueError:
            pass
    known = ", ".join(effort.value for effort in Effort)
    return None, f"effort has to be one of {known}; the model's own is used"
