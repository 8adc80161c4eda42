"""What is counted of requests: plain numbers in memory, for `exposition` to show to whoever scrapes.

Counting is an addition; nothing here knows of Prometheus, whose library is loaded with the first scrape. Everything
lives in one `Metrics`, which the application owns. What it may be told by is bounded: whatever clients send, a label
has one of a few values, the rest being `other` (`labels`).
"""

from __future__ import annotations

import os
import secrets
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, final

from kirotrio.classes import frozen
from kirotrio.telemetry.labels import OTHER, Bounded, model_class, surface_label

GAP: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
FIRST: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
DURATION: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
QUEUE: Final = (0.005, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of buckets, in seconds."""

Key: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in their order."""


@final
class Histogram:
    """How many values lie in each bucket, `bounds[i]` being the largest of the i-th one; and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@frozen(kw_only=True)
class Finished:
    """What one request came to, for counting. Seconds; None for what there was not.

    `outcome`: finished, failed, refused, client gone or stopped; `cause`: why an answer ended, or failed.
    """

    surface: str
    model: str
    outcome: str
    cause: str
    seconds: float
    first: float | None = None
    queue: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    credits: float = 0.0
    attempts: Sequence[tuple[str, str]] = ()
    """Account and outcome of each attempt."""


def _histograms(bounds: Sequence[float]) -> defaultdict[Key, Histogram]:
    return defaultdict(partial(Histogram, bounds))


@final
class Metrics:
    """All counts of one process since it started."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(8)
        """Which process counted, where several are one gateway."""
        self.gaps = Histogram(GAP)
        self.first = _histograms(FIRST)
        """By model class."""
        self.seconds = _histograms(DURATION)
        """By surface."""
        self.queue = Histogram(QUEUE)
        self.requests: defaultdict[Key, int] = defaultdict(int)
        """By surface, model class, outcome and cause."""
        self.attempts: defaultdict[Key, int] = defaultdict(int)
        """By account and outcome."""
        self.tokens: defaultdict[Key, int] = defaultdict(int)
        """By model class, and input or output."""
        self.credits: defaultdict[Key, float] = defaultdict(float)
        """By account."""
        self.queued = 0
        """Answers that wait for an account at this moment."""
        self._watched: dict[str, Callable[[], int]] = {}
        self._accounts = Bounded(100)
        self._outcomes = Bounded(8)
        self._causes = Bounded(64)

    def finished(self, one: Finished) -> None:
        """Count a request that has ended."""
        surface, model = surface_label(one.surface), model_class(one.model)
        outcome, cause = self._outcomes(one.outcome), self._causes(one.cause)
        self.requests[surface, model, outcome, cause] += 1
        self.seconds[surface,].add(one.seconds)
        if one.first is not None:
            self.first[model,].add(one.first)
        if one.queue is not None:
            self.queue.add(one.queue)
        if one.input_tokens:
            self.tokens[model, "input"] += one.input_tokens
        if one.output_tokens:
            self.tokens[model, "output"] += one.output_tokens
        for account, ended in one.attempts:
            self.attempts[self.account(account), self._causes(ended)] += 1
        if one.credits and one.attempts:
            self.credits[self.account(one.attempts[-1][0]),] += one.credits

    def account(self, name: str) -> str:
        """The label of an account; those that come with requests have none of their own."""
        return "personal" if name.startswith("personal-") else self._accounts(name) if name else OTHER

    def watch(self, name: str, value: Callable[[], int]) -> None:
        """Show what this says whenever somebody looks, too."""
        self._watched[name] = value

    def snapshot(self) -> dict[str, Any]:
        """All of it as JSON, to be told to another process."""

        def buckets(one: Histogram) -> list[Any]:
            return [list(one.counts), one.sum]

        counters: dict[str, Any] = {
            "requests": self.requests,
            "attempts": self.attempts,
            "tokens": self.tokens,
            "credits": self.credits,
        }
        histograms: dict[str, Mapping[Key, Histogram]] = {
            "gap": {(): self.gaps},
            "first": self.first,
            "seconds": self.seconds,
            "queue": {(): self.queue},
        }
        return {
            "process": self.process,
            "pid": os.getpid(),
            "counters": {
                name: [[list(key), value] for key, value in counts.items()] for name, counts in counters.items()
            },
            "histograms": {
                name: [[list(key), *buckets(one)] for key, one in kept.items()] for name, kept in histograms.items()
            },
            "gauges": {"queued": self.queued, **{name: value() for name, value in self._watched.items()}},
        }


Snapshot: TypeAlias = Mapping[str, Any]
