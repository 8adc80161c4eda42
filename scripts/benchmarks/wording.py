"""What a person may say to scripts/bench and scripts/soak: one line says what would be right, exit code 2."""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

_FOLDERS = re.compile(r"(?<![\w.~/-])~?/(?:[^/\s'\"=]+/)+")
_FILES = ("--json", "--markdown")
_NO_VALUE = re.compile(r"argument (--[\w-]+): expected one argument")


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        if found := _NO_VALUE.match(message):
            message += f", which is written {found[1]}='--value' where it begins with a dash"
        self.exit(2, f"{self.prog}: {message}; --help has the rest\n")

    def read(self, said: Sequence[str] | None, dashed: str) -> argparse.Namespace:
        """What was said. The value of `dashed`, an option, may begin with a dash, unless it is an option of our own:
        that one would be the sign of a value that was forgotten.
        """
        joined: list[str] = []
        for word in sys.argv[1:] if said is None else said:
            own = word.partition("=")[0] in self._option_string_actions
            if joined and joined[-1] == dashed and word.startswith("-") and not own:
                joined[-1] = f"{dashed}={word}"
            else:
                joined.append(word)
        options, rest = self.parse_known_args(joined)
        if rest:
            self.error(_unknown(rest, getattr(options, "scenarios", None)))
        return options


def _unknown(rest: Sequence[str], rows: str | None) -> str:
    """What to say of words without a meaning; of rows that stand apart, how they stand together."""
    said = f"unrecognized arguments: {' '.join(rest)}"
    if rows is None or any(word.startswith("-") for word in rest):
        return said
    return f"{said}; rows are separated by commas: {','.join([rows, *rest])}"


def whole(least: int, what: str) -> Callable[[str], int]:
    """A type of option: a whole number, at least so much. `what` says what is counted."""

    def read(word: str) -> int:
        try:
            number = int(word)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{word!r} is not a number of {what}, {least} or more")
        return number

    return read


def amount(least: float, what: str) -> Callable[[str], float]:
    """A type of option: a finite number, at least so much."""

    def read(word: str) -> float:
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not least <= number < math.inf:
            raise argparse.ArgumentTypeError(f"{word!r} is not {what}, {least:g} or more")
        return number

    return read


def words(said: str) -> list[str]:
    """A type of option: words as a shell would part them."""
    try:
        return shlex.split(said)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"{said!r} has a quote without its other half") from wrong


def program(command: Sequence[str], source: Path) -> None:
    """Raises ValueError where there is no such program, seen from the folder it is to be started in."""
    if not source.is_dir():
        raise ValueError(f"there is no folder {source}: --source names the one to start the gateway in")
    name = command[0] if command else ""
    found = (source / name).is_file() if "/" in name else shutil.which(name)
    if not found:
        raise ValueError(f"--gateway: there is no program {name!r}; `python -m kirotrio` or dist/kirotrio would be one")


def executable(named: Path | None) -> None:
    """Raises ValueError where one is named that there is not. That none is named is no mistake."""
    if named is not None and not (named.is_file() and os.access(named, os.X_OK)):
        raise ValueError(f"--executable: {named} is no program; scripts/build makes one, dist/kirotrio")


def own_command(name: str, said: Sequence[str] | None) -> str:
    """How this was called, for a document: files by their names, without the folders of one machine."""
    shown: list[str] = []
    for word in sys.argv[1:] if said is None else said:
        option, sign, value = word.partition("=")
        if shown and shown[-1] in _FILES:
            word = Path(word).name
        elif option in _FILES and sign:
            word = f"{option}={Path(value).name}"
        shown.append(_FOLDERS.sub("", word))
    return shlex.join([name, *shown])
