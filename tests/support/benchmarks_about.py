"""What a run of the benchmark says of itself, as files of figures have it."""

from __future__ import annotations

from typing import Any

ABOUT: dict[str, Any] = {
    "date": "2026-01-01 00:00:00 +0000",
    "commit": "abc",
    "python": "3.11.7",
    "packages": {"trio": "0.35"},
    "machine": "a machine",
    "command": "scripts/bench",
    "quick": False,
    "passes": 3,
}
