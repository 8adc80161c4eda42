"""Where the platform keeps configuration and data of a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kirotrio.classes import frozen


@frozen
class Folders:
    """`config` may hold `kirotrio.toml`; `data` is the default of `data.dir`. None: the platform names none.

    Neither need exist.
    """

    config: Path | None = None
    data: Path | None = None


def platform_folders() -> Folders:
    """The platform's own folders for this user (XDG on Linux, Library on macOS, AppData on Windows).

    Where they cannot be told (no home folder) the answer could be relative to the working folder, which is never
    read unasked: that counts as none.
    """
    import platformdirs

    return Folders(_absolute(platformdirs.user_config_path), _absolute(platformdirs.user_data_path))


def _absolute(place: Callable[..., Path]) -> Path | None:
    try:
        folder = place("kirotrio", appauthor=False)
    except RuntimeError:  # no home folder, in newer versions of the library
        return None
    return folder if folder.is_absolute() else None
