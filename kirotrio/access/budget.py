"""What a key may use, and what it has used.

Requests are counted when they are let in; tokens and credits when an answer ends, since nobody knows them before. So a
request is let in as long as something is left, and what runs already may take more than that: never more than those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import attrs
from attrs import field

from kirotrio.access.windows import Window
from kirotrio.classes import frozen
from kirotrio.errors import LimitReached

COUNTED: Final = ("requests", "tokens", "credits")
"""What limits are of, in the order in which they are told."""


@frozen
class Amount:
    """Of requests, tokens (input, cached ones too, and output) and Kiro credits. As a limit, None is any number."""

    requests: int | None = None
    tokens: int | None = None
    credits: float | None = None

    @property
    def limits_nothing(self) -> bool:
        return self.requests is None and self.tokens is None and self.credits is None


@frozen
class Used:
    requests: int = 0
    tokens: int = 0
    credits: float = 0.0


@frozen
class Budget:
    """At most so much in each window."""

    windows: Mapping[Window, Amount] = field(factory=dict)

    @property
    def limited(self) -> tuple[Window, ...]:
        """The windows that there is something to count in."""
        return tuple(window for window in Window if not self.windows.get(window, Amount()).limits_nothing)

    @property
    def of_answers(self) -> Budget:
        """What is known at the end of an answer alone: all but the number of requests."""
        return Budget({window: attrs.evolve(amount, requests=None) for window, amount in self.windows.items()})

    def check(self, used: Mapping[Window, Used], now: float) -> None:
        """Let one request more begin, of which nothing has been counted yet. `now` is epoch seconds.

        Raises LimitReached with the time until the last of those windows is over in which nothing is left.
        """
        refusals = [
            (window.end(now), what)
            for window in self.limited
            if (what := _exhausted(self.windows[window], used.get(window, Used()))) is not None
        ]
        if not refusals:
            return
        # With several, the one that lasts longest: until then no request is let in.
        end, (limit, name) = max(refusals)
        window = next(window for window in self.limited if window.end(now) == end)
        shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
        raise LimitReached(
            f"this key has used its {shown} {name} of this {window.value}; the next one begins at {_moment(end)}",
            retry_after=max(0.0, end - now),
        )


def _exhausted(limit: Amount, used: Used) -> tuple[float, str] | None:
    for name in COUNTED:
        most = getattr(limit, name)
        if most is not None and getattr(used, name) >= most:
            return most, name
    return None


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def budget_of(limits: Mapping[str, Mapping[str, float]]) -> Budget:
    """The budget that a key's row tells (`key_record.Limits`). Names that are not known here are passed over."""
    windows: dict[Window, Amount] = {}
    for window in Window:
        told = limits.get(window.value, {})
        requests, tokens, worth = (told.get(name) for name in COUNTED)
        amount = Amount(
            None if requests is None else int(requests),
            None if tokens is None else int(tokens),
            None if worth is None else float(worth),
        )
        if not amount.limits_nothing:
            windows[window] = amount
    return Budget(windows)


def limits_of(budget: Budget) -> dict[str, dict[str, float]]:
    """The same as a row has it."""
    return {
        window.value: {name: most for name in COUNTED if (most := getattr(amount, name)) is not None}
        for window, amount in budget.windows.items()
        if not amount.limits_nothing
    }
