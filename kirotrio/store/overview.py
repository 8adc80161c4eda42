"""What was asked of a gateway in a span of time, added up: the values of the console's overview."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from attrs import field

from kirotrio.classes import frozen

HOUR, DAY = 3600, 86_400
MOST_POINTS = 1000
"""Of one row: a chart cannot show more, and nobody shall be able to ask for more."""


class By(enum.Enum):
    """What sums are told by. The value is the column's name."""

    MODEL = "model"
    ACCOUNT = "account"
    KEY = "key_id"
    SURFACE = "surface"


@frozen(kw_only=True)
class Sums:
    """What some requests came to. `failures`: those that failed by their `Ending`. `first_p50` and `first_p95`:
    seconds to the first token, rounded to two digits, of which half and 95 of 100 were no slower; None where none came
    to one."""

    requests: int = 0
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    credits: float = 0.0
    first_p50: float | None = None
    first_p95: float | None = None


@frozen
class Point:
    """The sums of one step in time, which began at `at` (epoch seconds)."""

    at: int
    sums: Sums


@frozen
class Share:
    """The sums of one model, account, key or surface. `name`: for a person, of a key that is gone its id."""

    id: str
    name: str
    sums: Sums


@frozen
class Chosen:
    """Which requests are added up: those from `since` to before `until` (epoch seconds), in steps of `step` seconds
    that are counted in UTC. `owner`: of the keys of this user alone; None: all. "" for any account, model or key.

    Raises ValueError for a span of more than `MOST_POINTS` steps.
    """

    since: float
    until: float
    step: int = HOUR
    owner: str | None = None
    account: str = ""
    model: str = ""
    key: str = ""

    def __attrs_post_init__(self) -> None:
        if self.step <= 0 or not 0 <= self.since <= self.until < 2**40:
            raise ValueError("a span of time begins before it ends, and its steps are longer than nothing")
        if (self.until - self.since) / self.step > MOST_POINTS:
            raise ValueError(f"a span of time has {MOST_POINTS} steps at most")

    @property
    def steps(self) -> range:
        """When each step begins."""
        first = int(self.since // self.step) * self.step
        return range(first, max(int(-(-self.until // self.step)) * self.step, first), self.step)


@frozen
class Overview:
    """`points`: each step of the span, those without a request too. Shares: the largest first, some at most."""

    total: Sums
    points: Sequence[Point]
    models: Sequence[Share] = field(factory=tuple)
    accounts: Sequence[Share] = field(factory=tuple)
    keys: Sequence[Share] = field(factory=tuple)
