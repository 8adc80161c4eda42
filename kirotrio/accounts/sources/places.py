"""Where the Kiro IDE and kiro-cli keep their sign-in on this kind of machine (KIRO_PROTOCOL 5.5)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import field

from kirotrio.classes import frozen


@frozen
class Places:
    """`environment` holds those of these variables that are set: APPDATA, LOCALAPPDATA, XDG_DATA_HOME,
    XDG_CONFIG_HOME, KIRO_CLI_DATABASE, KIRO_DATA_DIR. `platform` is spelled as `sys.platform`."""

    home: Path
    environment: Mapping[str, str] = field(factory=dict)
    platform: str = sys.platform

    @property
    def ide_token(self) -> Path:
        return self.home / ".aws" / "sso" / "cache" / "kiro-auth-token.json"

    @property
    def ide_profile(self) -> Path:
        if self.platform == "win32":
            settings = self._folder("APPDATA", "AppData", "Roaming")
        elif self.platform == "darwin":
            settings = self.home / "Library" / "Application Support"
        else:
            settings = self._folder("XDG_CONFIG_HOME", ".config")
        return settings / "Kiro" / "User" / "globalStorage" / "kiro.kiroagent" / "profile.json"

    @property
    def named_cli_database(self) -> Path | None:
        """The database that KIRO_CLI_DATABASE names."""
        named = self.environment.get("KIRO_CLI_DATABASE", "")
        return self.expand(named) if named else None

    @property
    def cli_databases(self) -> tuple[Path, ...]:
        """All places of kiro-cli's database, newer name first."""
        moved = self.environment.get("KIRO_DATA_DIR", "")
        if moved:
            return (self.expand(moved) / "data.sqlite3",)
        if self.platform == "win32":
            folders = [
                self._folder("LOCALAPPDATA", "AppData", "Local"),
                self._folder("APPDATA", "AppData", "Roaming"),
            ]
        elif self.platform == "darwin":
            folders = [self.home / "Library" / "Application Support"]
        else:
            folders = [self._folder("XDG_DATA_HOME", ".local", "share")]
        programs = ("kiro-cli", "amazon-q")
        return tuple(folder / program / "data.sqlite3" for program in programs for folder in folders)

    def expand(self, path: str) -> Path:
        """`path` with a leading `~` replaced by the home folder."""
        return self.home / path[2:] if path.startswith(("~/", "~\\")) else Path(path)

    def _folder(self, variable: str, *otherwise: str) -> Path:
        named = self.environment.get(variable, "")
        return Path(named) if named else self.home.joinpath(*otherwise)
