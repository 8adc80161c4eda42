"""Counts as Prometheus reads them: snapshots of one or several processes, added up into one scrape.

Prometheus' library is loaded with the first scrape. Nothing is registered with its global registry: each scrape makes
one of its own from the snapshots that it is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kirotrio.classes import frozen
from kirotrio.telemetry.metrics import DURATION, FIRST, GAP, QUEUE, Key, Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_COUNTERS: Final = {
    "requests": (
        "kirotrio_requests",
        "Requests that have ended.",
        ("surface", "model_class", "outcome", "cause"),
    ),
    "attempts": ("kirotrio_attempts", "Generations that the upstream was asked for.", ("account", "outcome")),
    "tokens": ("kirotrio_tokens", "Tokens of the answers.", ("model_class", "direction")),
    "credits": ("kirotrio_credits", "Kiro credits that the answers have cost.", ("account",)),
}
_HISTOGRAMS: Final = {
    "first": (
        "kirotrio_time_to_first_token_seconds",
        "From the request to the upstream's first event.",
        ("model_class",),
        FIRST,
    ),
    "gap": (
        "kirotrio_event_gap_seconds",
        "From one piece of a stream to the next, as clients get them, signs of life among them.",
        (),
        GAP,
    ),
    "seconds": ("kirotrio_request_duration_seconds", "From the request to its end.", ("surface",), DURATION),
    "queue": ("kirotrio_queue_seconds", "From the request until an account was free for it.", (), QUEUE),
}
_GAUGES: Final = {
    "live": ("kirotrio_live_streams", "Answers that are being given."),
    "queued": ("kirotrio_queued_requests", "Requests that wait for an account."),
    "connections": ("kirotrio_connections", "Connections of clients."),
}
_DROPPED: Final = {
    "records_dropped": ("kirotrio_records_dropped", "Records of requests that were lost."),
    "traces_dropped": ("kirotrio_traces_dropped", "Traces of requests that were lost."),
}


@frozen
class Worth:
    """What an account has left, in credits."""

    account: str
    left: float


def exposed(snapshots: Sequence[Snapshot], worth: Sequence[Worth], version: str, accept: str = "") -> tuple[bytes, str]:
    """One scrape, and its content type, which goes by `accept`. Takes a tenth of a second the first time: for a thread.

    Snapshots of processes that have ended carry `gone`; of them the counts are shown alone.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(snapshots, worth, version))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Scrape:
    """A Collector in the library's sense."""

    def __init__(self, snapshots: Sequence[Snapshot], worth: Sequence[Worth], version: str) -> None:
        self._snapshots = snapshots
        self._worth = worth
        self._version = version

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        present = [one for one in self._snapshots if not one.get("gone")]
        yield InfoMetricFamily("kirotrio_build", "The program that is running.", {"version": self._version})
        workers = GaugeMetricFamily("kirotrio_processes", "Processes that answer requests.")
        workers.add_metric((), len(present))
        yield workers
        for name, (metric, about, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(metric, about, labels=labels)
            sums: defaultdict[Key, float] = defaultdict(float)
            for snapshot in self._snapshots:
                for key, value in snapshot["counters"].get(name, ()):
                    sums[tuple(key)] += value
            for label, value in sorted(sums.items()):
                counter.add_metric(label, value)
            yield counter
        for name, told in _HISTOGRAMS.items():
            yield self._histogram(name, *told)
        for name, (metric, about) in _GAUGES.items():
            gauge = GaugeMetricFamily(metric, about)
            gauge.add_metric((), sum(one["gauges"].get(name, 0) for one in present))
            yield gauge
        for name, (metric, about) in _DROPPED.items():
            counter = CounterMetricFamily(metric, about)
            counter.add_metric((), sum(one["gauges"].get(name, 0) for one in self._snapshots))
            yield counter
        left = GaugeMetricFamily(
            "kirotrio_account_credits_left", "Credits that the account's plan still has.", labels=("account",)
        )
        for account, amount in _summed(self._worth).items():
            left.add_metric((account,), amount)
        yield left
        yield from _processes([one["pid"] for one in present])

    def _histogram(self, name: str, metric: str, about: str, labels: Sequence[str], bounds: Sequence[float]) -> Metric:
        from prometheus_client.metrics_core import HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        family = HistogramMetricFamily(metric, about, labels=labels)
        counts: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        sums: defaultdict[Key, float] = defaultdict(float)
        for snapshot in self._snapshots:
            for key, each, total in snapshot["histograms"].get(name, ()):
                label = tuple(key)
                counts[label] = [a + b for a, b in zip(counts[label], each, strict=True)]
                sums[label] += total
        for label, each in sorted(counts.items()):
            buckets, so_far = [], 0
            for bound, count in zip((*bounds, float("inf")), each, strict=True):
                so_far += count
                buckets.append((str(floatToGoString(bound)), so_far))  # type: ignore[no-untyped-call]  # theirs
            family.add_metric(label, buckets, sums[label])
        return family


def _summed(worth: Sequence[Worth]) -> Mapping[str, float]:
    """Several accounts may have one label."""
    left: defaultdict[str, float] = defaultdict(float)
    for one in worth:
        left[one.account] += one.left
    return left


def _processes(pids: Sequence[int]) -> Iterator[Metric]:
    """The standard metrics of processes: of several their sum, of their starts the first. Nothing where the system
    does not tell."""
    from prometheus_client import ProcessCollector

    found: dict[str, Any] = {}
    for pid in pids:
        for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]  # theirs
            if (before := found.get(metric.name)) is None:
                found[metric.name] = metric
                continue
            (one,), (other,) = before.samples, metric.samples
            value = min(one.value, other.value) if "start_time" in metric.name else one.value + other.value
            before.samples = [one._replace(value=value)]
    yield from found.values()
