"""What is known of Kiro's models without asking (KIRO_PROTOCOL 7.1, 2.5, 8).

The account's own list overrules every figure here. Claude up to 4.5 thinks between tags in its text; later ones
and GPT have reasoning of their own, and take its effort in a field; the open-weight models have neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from attrs import evolve, field

from kirotrio.classes import frozen
from kirotrio.conversation.request import Effort

ThinkingMode: TypeAlias = Literal["tags", "native", "none"]
Family: TypeAlias = Literal["claude", "gpt", "other"]

Origin: TypeAlias = Literal["account", "table", "assumed"]
"""Where a value is from: the account's own list, the table below, or neither: it is taken for granted."""

PROVEN: Final = ("window", "max_output", "thinking", "efforts", "rate", "takes_images")
"""The values of a profile whose origin is told."""

UNKNOWN_WINDOW = 200_000
"""Tokens; the window of a model about which nothing is known (CONTRACT, Usage)."""


@frozen
class ModelProfile:
    """One model of the upstream.

    `window` and `max_output` are tokens, `rate` is the credit multiplier; None: not known. `efforts` are those that
    the model allows. `accepts_max_tokens`: it has a field for an output limit. `listed`: it belongs in a listing;
    a name that is passed on in good faith does not.
    """

    id: str
    name: str
    window: int = UNKNOWN_WINDOW
    max_output: int | None = None
    thinking: ThinkingMode = "none"
    family: Family = "other"
    efforts: tuple[Effort, ...] = ()
    default_effort: Effort | None = None
    can_disable_thinking: bool = True
    accepts_max_tokens: bool = False
    takes_images: bool = True
    rate: float | None = None
    listed: bool = True
    origins: Mapping[str, Origin] = field(factory=dict, eq=False, repr=False)
    """Of those values of `PROVEN` that are not assumed. It says nothing of the model itself."""

    @property
    def provenance(self) -> Mapping[str, Origin]:
        """Where each value of `PROVEN` comes from."""
        return {name: self.origins.get(name, "assumed") for name in PROVEN}


_LOW_TO_MAX = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.MAX)
_WITH_XHIGH = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH, Effort.MAX)
_GPT_EFFORTS = (Effort.NONE, *_WITH_XHIGH)


def _claude(
    id: str,
    name: str,
    rate: float | None,
    default: Effort = Effort.HIGH,
    *,
    efforts: tuple[Effort, ...] = _WITH_XHIGH,
    can_disable: bool = True,
    max_output: int = 64_000,
    listed: bool = True,
) -> ModelProfile:
    """A Claude with reasoning of its own."""
    return ModelProfile(
        id,
        name,
        window=1_000_000,
        max_output=max_output,
        thinking="native",
        family="claude",
        efforts=efforts,
        default_effort=default,
        can_disable_thinking=can_disable,
        accepts_max_tokens=True,
        rate=rate,
        listed=listed,
    )


def _tagged_claude(id: str, name: str, rate: float) -> ModelProfile:
    return ModelProfile(id, name, max_output=64_000, thinking="tags", family="claude", rate=rate)


def _gpt(id: str, name: str, rate: float) -> ModelProfile:
    return ModelProfile(
        id,
        name,
        window=272_000,
        thinking="native",
        family="gpt",
        efforts=_GPT_EFFORTS,
        default_effort=Effort.HIGH,
        rate=rate,
    )


def _open(id: str, name: str, window: int, rate: float) -> ModelProfile:
    """An open-weight model; the ones offered so far read text only."""
    return ModelProfile(id, name, window=window, takes_images=False, rate=rate)


_UNCONFIRMED_WINDOWS = frozenset({"auto", "claude-opus-5.5", "claude-sonnet-5.5", "claude-sonnet-4.6"})
"""Windows on which the reports are at odds, or which nobody has seen (KIRO_PROTOCOL 7.1, 12)."""


def _tabled(model: ModelProfile) -> ModelProfile:
    """With `table` as the origin of what the table says."""
    names = [name for name in PROVEN if getattr(model, name) is not None]
    if model.id in _UNCONFIRMED_WINDOWS:
        names.remove("window")
    origins: dict[str, Origin] = dict.fromkeys(names, "table")
    return evolve(model, origins=origins)


_MODELS = (
    ModelProfile("auto", "Auto", rate=1.0),
    # 5.5 thinks always: it knows no "disabled".
    _claude("claude-opus-5.5", "Claude Opus 5.5", 2.0, Effort.MEDIUM, can_disable=False),
    _claude("claude-opus-5", "Claude Opus 5", 2.2),
    _claude("claude-opus-4.8", "Claude Opus 4.8", 2.2, max_output=128_000),
    _claude("claude-opus-4.7", "Claude Opus 4.7", 2.2, Effort.XHIGH),
    _claude("claude-opus-4.6", "Claude Opus 4.6", 2.2, efforts=_LOW_TO_MAX),
    _tagged_claude("claude-opus-4.5", "Claude Opus 4.5", 2.2),
    _claude("claude-sonnet-5.5", "Claude Sonnet 5.5", 1.3, can_disable=False),
    _claude("claude-sonnet-5", "Claude Sonnet 5", 1.3),
    _claude("claude-sonnet-4.6", "Claude Sonnet 4.6", 1.3, efforts=_LOW_TO_MAX),
    _tagged_claude("claude-sonnet-4.5", "Claude Sonnet 4.5", 1.3),
    _tagged_claude("claude-sonnet-4", "Claude Sonnet 4", 1.3),
    _tagged_claude("claude-haiku-4.5", "Claude Haiku 4.5", 0.4),
    # Seen once, in somebody's test: known where an account lists it, not advertised.
    _claude("claude-fable-5", "Claude Fable 5", None, efforts=_LOW_TO_MAX, max_output=128_000, listed=False),
    _gpt("gpt-5.6-sol", "GPT 5.6 Sol", 4.4),
    _gpt("gpt-5.6-terra", "GPT 5.6 Terra", 2.2),
    _gpt("gpt-5.6-luna", "GPT 5.6 Luna", 1.1),
    _open("deepseek-3.2", "DeepSeek 3.2", 128_000, 0.25),
    _open("glm-5", "GLM 5", 200_000, 0.5),
    _open("minimax-m2.5", "MiniMax M2.5", 200_000, 0.25),
    _open("minimax-m2.1", "MiniMax M2.1", 200_000, 0.15),
    _open("qwen3-coder-next", "Qwen3 Coder Next", 256_000, 0.05),
)

MODEL_TABLE: tuple[ModelProfile, ...] = tuple(map(_tabled, _MODELS))
