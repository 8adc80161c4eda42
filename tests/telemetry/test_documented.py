"""docs/telemetry.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from prometheus_client.parser import text_string_to_metric_families

from kirotrio.config.settings import TelemetrySettings
from kirotrio.telemetry.exposition import exposed
from kirotrio.telemetry.metrics import Metrics

TEXT = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def test_every_metric_and_setting_is_documented_and_no_other() -> None:
    body, _ = exposed([Metrics().snapshot()], [], "1")
    families = list(text_string_to_metric_families(body.decode()))
    there = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("kirotrio_") and family.name != "kirotrio_build"
    } - {"kirotrio_build_info"}
    named = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bkirotrio_[a-z_]+", TEXT)}
    assert named == there
    settings = {f"telemetry.{one.name}" for one in attrs.fields(TelemetrySettings)}
    assert set(re.findall(r"`(telemetry\.[a-z_]+)`", TEXT)) == settings
