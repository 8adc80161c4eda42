"""What the simulated service knows by heart, as JSON beside this file: models, usage, profiles, refusals, a search."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson


def load(name: str) -> Any:
    """The sample `name` (without `.json`), freshly decoded: the caller may change it."""
    return orjson.loads(files(__name__).joinpath(f"{name}.json").read_bytes())
