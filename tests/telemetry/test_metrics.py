"""Counts, and what a scraper reads of them: true, bounded, and added up over processes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import defaultdict
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kirotrio.telemetry.exposition import Worth, exposed
from kirotrio.telemetry.labels import MODEL_CLASSES, SURFACES, Bounded, model_class
from kirotrio.telemetry.metrics import GAP, Finished, Histogram, Metrics


def one(**changes: Any) -> Finished:
    told = {"surface": "messages", "model": "claude-sonnet-5", "outcome": "finished", "cause": "end_turn"}
    return Finished(**{**told, "seconds": 1.0, **changes})


def scraped(*snapshots: Any, worth: Any = ()) -> dict[str, list[Any]]:
    """The samples of a scrape, by name. Snapshots travel as JSON, as between workers."""
    travelled = [orjson.loads(orjson.dumps(snapshot)) for snapshot in snapshots]
    body, content_type = exposed(travelled, worth, "1.2.3")
    assert content_type.startswith("text/plain")
    samples: defaultdict[str, list[Any]] = defaultdict(list)
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            samples[sample.name].append(sample)
    return samples


def value(samples: dict[str, list[Any]], name: str, **labels: str) -> float:
    (found,) = [sample.value for sample in samples[name] if labels.items() <= sample.labels.items()]
    return float(found)


@given(values=st.lists(st.floats(0, 100) | st.sampled_from(GAP)))
def test_buckets_are_cumulative_and_each_holds_its_own_bound(values: list[float]) -> None:
    histogram = Histogram(GAP)
    for each in values:
        histogram.add(each)
    for at, bound in enumerate(GAP):
        assert sum(histogram.counts[: at + 1]) == sum(each <= bound for each in values)
    assert sum(histogram.counts) == len(values)
    assert math.isclose(histogram.sum, sum(values))


def test_what_was_counted_is_what_is_scraped() -> None:
    metrics = Metrics()
    metrics.finished(
        one(
            first=0.3,
            queue=0.01,
            input_tokens=1000,
            output_tokens=50,
            credits=0.25,
            attempts=[("work", "upstream_failed"), ("work", "ok")],
        )
    )
    metrics.finished(one(outcome="failed", cause="upstream_failed", seconds=7.0))
    metrics.gaps.add(0.02)
    metrics.watch("live", lambda: 3)
    metrics.watch("records_dropped", lambda: 2)
    samples = scraped(metrics.snapshot(), worth=[Worth("work", 12.5)])
    assert value(samples, "kirotrio_requests_total", cause="end_turn") == 1
    failed = {"surface": "messages", "model_class": "claude-sonnet", "outcome": "failed", "cause": "upstream_failed"}
    assert value(samples, "kirotrio_requests_total", **failed) == 1
    assert value(samples, "kirotrio_attempts_total", account="work", outcome="ok") == 1
    assert value(samples, "kirotrio_tokens_total", model_class="claude-sonnet", direction="input") == 1000
    assert value(samples, "kirotrio_credits_total", account="work") == 0.25
    assert value(samples, "kirotrio_time_to_first_token_seconds_bucket", model_class="claude-sonnet", le="0.25") == 0
    assert value(samples, "kirotrio_time_to_first_token_seconds_bucket", model_class="claude-sonnet", le="0.5") == 1
    assert value(samples, "kirotrio_request_duration_seconds_sum", surface="messages") == 8
    assert value(samples, "kirotrio_event_gap_seconds_count") == 1
    assert value(samples, "kirotrio_live_streams") == 3
    assert value(samples, "kirotrio_records_dropped_total") == 2
    assert value(samples, "kirotrio_account_credits_left", account="work") == 12.5
    assert value(samples, "kirotrio_build_info", version="1.2.3") == 1
    assert value(samples, "process_resident_memory_bytes") > 1_000_000


def test_processes_are_added_up_and_one_that_is_gone_still_counts() -> None:
    here, there, gone = Metrics(), Metrics(), Metrics()
    for metrics in (here, there, gone):
        metrics.finished(one(first=0.3))
        metrics.watch("live", lambda: 2)
    samples = scraped(here.snapshot(), there.snapshot(), {**gone.snapshot(), "gone": True})
    assert value(samples, "kirotrio_requests_total") == 3
    assert value(samples, "kirotrio_time_to_first_token_seconds_count") == 3
    assert value(samples, "kirotrio_live_streams") == 4
    assert value(samples, "kirotrio_processes") == 2
    alone = scraped(here.snapshot())
    memory = "process_resident_memory_bytes"
    assert value(samples, memory) > 1.5 * value(alone, memory), "of both processes, here twice the same"


_wild = st.text(max_size=80) | st.sampled_from(["claude-sonnet-5", "claude-", "gpt-5", "messages", "personal-1"])


@given(asked=st.lists(st.tuples(_wild, _wild, _wild, _wild, _wild), min_size=1, max_size=300))
@settings(max_examples=25, deadline=None)
def test_labels_stay_few_whatever_clients_send(asked: list[tuple[str, str, str, str, str]]) -> None:
    metrics = Metrics()
    for number, (surface, model, outcome, cause, account) in enumerate(asked):
        attempts = [(f"{account}{number}", cause)]
        metrics.finished(
            one(surface=surface, model=model, outcome=outcome, cause=cause, attempts=attempts, credits=1.0, first=1.0)
        )
    samples = scraped(metrics.snapshot())
    values: defaultdict[str, set[str]] = defaultdict(set)
    for found in samples.values():
        for sample in found:
            for label, text in sample.labels.items():
                values[f"{label}"].add(text)
    assert values["surface"] <= SURFACES | {"other"}
    assert values["model_class"] <= MODEL_CLASSES
    assert len(values["account"]) <= 101
    assert len(values["cause"]) <= 65
    assert len(values["outcome"]) <= 8 + 65 + 1
    assert sum(sample.value for sample in samples["kirotrio_requests_total"]) == len(asked), "nothing is lost"


@given(values=st.lists(st.text(max_size=100)), most=st.integers(0, 5))
def test_a_bounded_label_keeps_what_it_let_through(values: list[str], most: int) -> None:
    bounded = Bounded(most)
    first = [bounded(each) for each in values]
    assert [bounded(each) for each in values] == first
    assert len(set(first)) <= most + 1


def test_model_classes_are_families() -> None:
    for model, family in {
        "claude-sonnet-4.5": "claude-sonnet",
        "claude-opus-5.5": "claude-opus",
        "Claude-3-5-Haiku-20241022": "claude-haiku",
        "claude-next": "claude",
        "gpt-5.6-sol": "gpt",
        "qwen3-coder-next": "qwen",
        "auto": "auto",
        "my-own": "other",
        "": "",
    }.items():
        assert model_class(model) == family


def test_the_library_is_not_loaded_before_a_scrape() -> None:
    program = "import sys, kirotrio.web.serving, kirotrio.web.api.metrics, kirotrio.relay.answer; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    loaded = {name.partition(".")[0] for name in said.stdout.split()}
    assert not loaded & {"prometheus_client", "opentelemetry"}
