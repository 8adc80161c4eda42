"""What the overview is asked for, in its address: a span of time, one model, account or key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from kirotrio.classes import frozen
from kirotrio.store.overview import DAY, HOUR, By, Chosen
from kirotrio.web.console.languages import N_

KINDS: Final[Mapping[str, By]] = {"model": By.MODEL, "account": By.ACCOUNT, "key": By.KEY}
"""What can be looked at alone, by the name in the address."""


@frozen
class Span:
    """Some steps of `step` seconds, the present one the last of them. `name` is English, and in the catalogue."""

    key: str
    name: str
    step: int
    steps: int

    def ending(self, now: float) -> tuple[int, int]:
        """When it begins and when it ends; epoch seconds."""
        end = (int(now // self.step) + 1) * self.step
        return end - self.step * self.steps, end


SPANS: Final = (
    Span("hour", N_("Last hour"), 60, 60),
    Span("day", N_("Last 24 hours"), HOUR // 2, 48),
    Span("week", N_("Last 7 days"), 3 * HOUR, 56),
    Span("month", N_("Last 30 days"), DAY, 30),
)
_USUAL: Final = SPANS[1]
_LONGEST: Final = 200
"""Characters of a name that are looked at."""


@frozen
class Asked:
    """`only`: the model, account and key that are looked at alone, by `KINDS`, as far as one is chosen."""

    span: Span
    only: Mapping[str, str]

    @classmethod
    def of(cls, arguments: Mapping[str, list[str]]) -> Asked:
        """By the query of an address; what makes no sense was not asked for."""
        last = {name: values[-1] for name, values in arguments.items()}
        span = next((span for span in SPANS if span.key == last.get("span")), _USUAL)
        return cls(span, {kind: last[kind][:_LONGEST] for kind in KINDS if last.get(kind)})

    def chosen(self, now: float, owner: str | None) -> Chosen:
        """Which requests these are. `owner`: of whose keys alone; None: all."""
        since, until = self.span.ending(now)
        return Chosen(since, until, self.span.step, owner, **self.only)

    def address(self, path: str, **changes: str) -> str:
        """The same with other values; "" takes one away."""
        values = {"span": self.span.key, **self.only, **changes}
        return f"{path}?{urlencode({name: value for name, value in values.items() if value})}"
