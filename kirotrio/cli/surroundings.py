"""What a verb knows of the machine beside its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kirotrio.accounts.sources.places import Places
from kirotrio.config.process import home_folder, variables

_FOLDERS: Final = (
    "APPDATA",
    "LOCALAPPDATA",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "KIRO_CLI_DATABASE",
    "KIRO_DATA_DIR",
)

NOWHERE: Final = Path("/nonexistent")
"""Home of a user who has none: nothing of another program is found there."""


def places_of_user() -> Places:
    """Where the Kiro IDE and kiro-cli keep this user's sign-in."""
    return Places(home_folder() or NOWHERE, variables(*_FOLDERS))
