"""The settings of this very process. The only file that looks at the environment for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from kirotrio.config.folders import Folders, platform_folders
from kirotrio.config.loading import LoadedSettings, load_settings


def settings_of_process(
    overrides: Mapping[str, Any], *, env_file: Path | None = None, config_file: Path | None = None
) -> LoadedSettings:
    """`load_settings` with this process's environment and this platform's folders. Raises SettingsError."""
    if os.environ.get("HOME") == "":
        # It names no folder. Some libraries then ask the system for one and others take the root: without it all ask.
        del os.environ["HOME"]
    return load_settings(
        overrides=overrides,
        environ=os.environ,
        env_file=env_file,
        config_file=config_file,
        folders=platform_folders(),
    )


def settings_apart_from_user(overrides: Mapping[str, Any], sections: tuple[str, ...]) -> LoadedSettings:
    """Settings that know nothing of the user's account, files and folders: `overrides`, and of the environment only
    the long spellings of these sections. What a demonstration needs. Raises SettingsError."""
    prefixes = tuple(f"KIROTRIO_{section.upper()}_" for section in sections)
    environ = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    return load_settings(overrides=overrides, environ=environ, folders=Folders())


def wants_colour(stream: TextIO) -> bool:
    """Whether colour belongs on `stream`: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def home_folder() -> Path | None:
    """This user's home folder; None where there is none that could be told."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_absolute() else None


def variables(*names: str) -> dict[str, str]:
    """Those of these variables that are set in the environment: where other programs keep their files."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def whole_environment() -> dict[str, str]:
    """A copy of this process's environment, for a program that it starts."""
    return dict(os.environ)


def replace_environment(environment: Mapping[str, str]) -> None:
    """From now on this is the process's environment: for programs that a library starts, which is not told theirs."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
