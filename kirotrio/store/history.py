"""The shapes that a database had and has, and the folder that it lies in: what opening one begins with."""

from __future__ import annotations

import os
from pathlib import Path

from kirotrio.classes import frozen
from kirotrio.errors import SettingsError
from kirotrio.store.files import private_folder

REVISION_TABLE = "schema_revision"


@frozen
class History:
    """The migrations in `folder`, by the names of their revisions, oldest first."""

    folder: Path
    revisions: tuple[str, ...]

    @property
    def newest(self) -> str:
        return self.revisions[-1]


SHIPPED = History(Path(__file__).parent / "migrations", ("0001", "0002", "0003"))


def check_folder(folder: Path) -> None:
    """Make the data folder if need be. Raises SettingsError where it cannot be used."""
    try:
        private_folder(folder)
    except OSError as error:
        raise SettingsError(
            f"the data folder {folder} cannot be made ({error.strerror}); name another one with data.dir "
            "(KIROTRIO_DATA_DIR)"
        ) from error
    if not folder.is_dir():
        raise SettingsError(
            f"the data folder {folder} is no folder; name another one with data.dir (KIROTRIO_DATA_DIR)"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(
            f"the data folder {folder} is not writable; make it so, or name another one with data.dir "
            "(KIROTRIO_DATA_DIR)"
        )
