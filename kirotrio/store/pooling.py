"""What a database and its engine have agreed on."""

from __future__ import annotations

from typing import Final

POOL: Final = 4
"""Connections that stay; as many again for what comes at one time."""

WRITE: Final = "kirotrio_write"
"""The execution option of a connection whose transaction changes something."""
