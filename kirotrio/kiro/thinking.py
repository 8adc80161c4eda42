"""Thinking on Kiro's wire: control tags, native fields, and whose signature is whose (KIRO_PROTOCOL 2.5, 8).

Models without native reasoning think because two control tags ahead of the system text tell them to, and write the
thought into their text. Models with it are told by `additionalModelRequestFields`, and sign what they thought; such a
signature is good only for the same model on the same account.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeAlias

from kirotrio.classes import frozen
from kirotrio.conversation.request import Effort, Json, ThinkingSetting
from kirotrio.conversation.thinking_setting import DEFAULT_BUDGET, get_thinking_budget, is_thinking_enabled

TAG_SIGNATURE: Final = "kt1.tag"
"""Signature of a thinking block that was text between tags: nothing was signed, and nothing is sent back."""

_MODE: Final = "<thinking_mode>"
_LENGTH: Final = "<max_thinking_length>"
_PREFIX: Final = "kt1."
_ACCOUNT_HASH: Final = re.compile(r"[0-9a-f]{8}")


def generate_thinking_hint(config: Json | ThinkingSetting, default: bool = True) -> str:
    """The two control tags, one a line; "" where thinking is off.

    `config` is a client's `thinking` member as it came, or the setting that was read from it.
    """
    if isinstance(config, ThinkingSetting):
        enabled, budget = config.enabled, config.budget
    else:
        enabled, budget = is_thinking_enabled(config, default), get_thinking_budget(config)
    return f"{_MODE}enabled</thinking_mode>\n{_LENGTH}{budget}</max_thinking_length>" if enabled else ""


def inject_thinking_hint(system: str, config: Json | ThinkingSetting, default: bool = True) -> str:
    """The system text with the control tags and a blank line ahead of it.

    It is given back as it is where thinking is off, or where either tag already stands in it. Without a system text
    the tags stand alone.
    """
    hint = generate_thinking_hint(config, default)
    if not hint or _MODE in system or _LENGTH in system:
        return system
    return f"{hint}\n\n{system}" if system else hint


@frozen
class Own:
    """A signature that Kiro gave out through us, with the model and the account it was given to."""

    model: str
    account_hash: str
    signature: str

    def fits(self, model: str, account_hash: str) -> bool:
        """Whether Kiro will take it back from this account, for this model (KIRO_PROTOCOL 8.3)."""
        return self.model == model and self.account_hash == account_hash


@frozen
class Tag:
    """The mark of a block that was text between tags."""


Signature: TypeAlias = Own | Tag


def wrap_signature(model: str, account_hash: str, signature: str) -> str:
    """`kt1.<model>.<account hash>.<signature>`: what a client is given in place of Kiro's own signature.

    Model ids contain dots, so it is read from its end: the hash is eight hex digits, and base64 knows no dot. Should a
    signature contain one after all, it is percent-encoded. `ValueError` if a part is empty or the hash is none.
    """
    if not model or not signature or not _ACCOUNT_HASH.fullmatch(account_hash):
        raise ValueError("a signature is wrapped with its model, an account hash of eight hex digits, and its own text")
    return f"{_PREFIX}{model}.{account_hash}.{signature.replace('%', '%25').replace('.', '%2E')}"


def unwrap_signature(text: str) -> Signature | None:
    """What `wrap_signature` wrapped, `Tag()` for `TAG_SIGNATURE`, or None for what did not come from here."""
    if text == TAG_SIGNATURE:
        return Tag()
    if not text.startswith(_PREFIX):
        return None
    parts = text[len(_PREFIX) :].rsplit(".", 2)
    if len(parts) != 3:
        return None
    model, account_hash, signature = parts
    if not model or not signature or not _ACCOUNT_HASH.fullmatch(account_hash):
        return None
    return Own(model, account_hash, signature.replace("%2E", ".").replace("%25", "%"))


def asked_budget(setting: ThinkingSetting) -> int | None:
    """The budget that the client itself named, or None: the default stands for "none named"."""
    return setting.budget if setting.asked and setting.budget != DEFAULT_BUDGET else None


def budget_effort(budget: int) -> Effort:
    """The effort that stands for a thinking budget in tokens, which native models do not take (KIRO_PROTOCOL 8.2)."""
    if budget <= 10_000:
        return Effort.LOW
    if budget <= 20_000:
        return Effort.MEDIUM
    if budget <= 28_000:
        return Effort.HIGH
    return Effort.MAX


def native_fields(
    family: Literal["claude", "gpt"],
    *,
    enabled: bool,
    effort: Effort | None,
    efforts: tuple[Effort, ...],
    default_effort: Effort | None,
    can_disable: bool,
    display: str | None,
    max_tokens: int | None,
    budget: int | None = None,
) -> dict[str, Any] | None:
    """`additionalModelRequestFields` for a model that reasons natively (KIRO_PROTOCOL 2.5, 8.2); None: none.

    `efforts` are those the model allows and `default_effort` the one of its schema, which is sent where the client gave
    neither `effort` nor `budget` (`asked_budget`). An effort of NONE turns thinking off. A model that cannot be turned
    off (`can_disable`) keeps thinking: at its least effort if the client said NONE, else as if it had been on.
    `max_tokens` is sent only where thinking is off, since it would cut the thought and with it the answer.
    """
    off = not enabled or effort is Effort.NONE
    thinks = not off or not can_disable
    if effort is None and budget is not None and not off:
        effort = budget_effort(budget)
    if family == "gpt":
        level = _allowed(effort or default_effort, efforts) if thinks else _allowed(Effort.NONE, efforts)
        return {"reasoning": {"effort": level.value}} if level else None
    thinking = {"type": "adaptive" if thinks else "disabled"}
    if thinks and display in ("summarized", "omitted"):
        thinking["display"] = display
    fields: dict[str, Any] = {"thinking": thinking}
    # Without thinking the effort still governs how the answer is written; but then only what the client gave is sent.
    wanted = effort or default_effort if thinks else None if effort is Effort.NONE else effort
    level = _allowed(wanted, efforts)
    if level:
        fields["output_config"] = {"effort": level.value}
    if not thinks and max_tokens is not None:
        fields["max_tokens"] = max_tokens
    return fields


def _allowed(wanted: Effort | None, efforts: tuple[Effort, ...]) -> Effort | None:
    """The effort itself if allowed; else the nearest weaker one, or the weakest of all.

    NONE is given for nothing but NONE: whoever wants a little does not want none.
    """
    if wanted is None or wanted in efforts:
        return wanted
    strength = list(Effort).index
    choices = sorted((effort for effort in efforts if effort is not Effort.NONE), key=strength)
    weaker = [effort for effort in choices if strength(effort) < strength(wanted)]
    return weaker[-1] if weaker else choices[0] if choices else None
