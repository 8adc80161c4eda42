"""Where values come from: command line, environment, an env file, a TOML file. Each gives a list of `Found`,
the weaker before the stronger; nothing is converted yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kirotrio.classes import frozen
from kirotrio.config.kirogate import translated, without_counterpart
from kirotrio.config.names import SHORT_FORMS
from kirotrio.config.options import Option, options
from kirotrio.errors import SettingsError


@frozen
class Found:
    """One value as it was written. `folder` is where a relative path in it starts; None: the working folder."""

    name: str
    raw: Any
    origin: str
    folder: Path | None = None
    notice: str = ""
    """What to tell the person if this value is the one that counts."""


def from_command_line(overrides: Mapping[str, Any]) -> list[Found]:
    """Values by setting name. None stands for an option that was not given. Raises SettingsError."""
    known = options()
    for name in overrides:
        if name not in known:
            raise SettingsError(f"{name} (command line): there is no such setting{near_miss(name, known)}")
    return [Found(name, raw, "command line") for name, raw in overrides.items() if raw is not None]


def from_variables(variables: Mapping[str, str], where: str) -> tuple[list[Found], list[str]]:
    """The settings among `variables`, and notices about names that mean nothing.

    `where` begins every origin ("environment", "env file /path:"). An empty variable counts as absent, because
    that is what `NAME=${NAME}` in a compose file makes of an absent one.
    """
    given = {name: value for name, value in variables.items() if value.strip()}
    long_forms = {option.variable: option for option in options().values()}
    found = [
        Found(name, raw, f"{where} {variable}", notice=f"{where} {variable}: {notice}")
        for name, variable, raw, notice in translated(given)
    ]
    found += [Found(SHORT_FORMS[name], given[name], f"{where} {name}") for name in SHORT_FORMS if name in given]
    found += [Found(long_forms[name].name, given[name], f"{where} {name}") for name in long_forms if name in given]

    notices = without_counterpart(given, where)
    known = [*long_forms, *SHORT_FORMS]
    for name in sorted(given):
        if name.startswith("KIROTRIO_") and name not in long_forms and name not in SHORT_FORMS:
            notices.append(f"{where} {name}: has no effect, there is no such setting{near_miss(name, known)}")
    return found, notices


def from_no_proxy(variables: Mapping[str, str], where: str) -> list[Found]:
    """The variable that many programs share. It is nobody's explicit word to this program: anything else beats it."""
    for name in ("no_proxy", "NO_PROXY"):
        if variables.get(name, "").strip():
            return [Found("upstream.no_proxy", variables[name], f"{where} {name}")]
    return []


_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?")


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines.

    `export`, comments, blank lines and both kinds of quotes are understood; within double quotes a backslash
    protects a quote and itself, anything else is as it stands. Raises SettingsError, which names the line.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(_read(path, "--env-file").splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise SettingsError(f"--env-file {path}, line {number}: not of the form NAME=value")
        name, value = match.groups()
        if value[:1] in ('"', "'"):
            quoted = (_DOUBLE if value[0] == '"' else _SINGLE).fullmatch(value)
            if quoted is None:
                raise SettingsError(f"--env-file {path}, line {number}: the quote that opens {name}'s value never ends")
            text = quoted[1]
            variables[name] = re.sub(r'\\(["\\])', r"\1", text) if value[0] == '"' else text
        else:
            variables[name] = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    return variables


def from_toml(path: Path) -> list[Found]:
    """The values of a TOML file. Raises SettingsError for bad syntax (with the line) and for names it does not know."""
    import tomllib

    text = _read(path, "--config")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {_first_down(str(error))}") from None

    known = options()
    sections = list(dict.fromkeys(name.partition(".")[0] for name in known))
    found: list[Found] = []
    for section, table in tables.items():
        if section not in sections:
            raise SettingsError(f"{path}: there is no section [{section}]{_toml_hint(section, sections, known)}")
        if not isinstance(table, dict):
            raise SettingsError(
                f"{path}: {section} is a section; write [{section}] and its settings on the lines below"
            )
        for key, raw in table.items():
            name = f"{section}.{key}"
            if name not in known:
                raise SettingsError(f"{path}: there is no setting {name}{near_miss(name, known)}")
            found.append(Found(name, raw, str(path), folder=path.parent))
    return found


def near_miss(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the name that may have been meant, or where to find them all."""
    close = _close_to(name, known)
    return f"; did you mean {close[0]}?" if close else "; `kirotrio settings` lists all"


def _close_to(name: str, known: Iterable[str]) -> list[str]:
    import difflib  # for mistakes alone

    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)


def _toml_hint(section: str, sections: list[str], known: Mapping[str, Option]) -> str:
    """For an unknown first-level name: a section of nearly that name, or the one that has such a setting."""
    if _close_to(section, sections):
        return near_miss(section, sections)
    for name in known:
        home, _, key = name.partition(".")
        if key == section:
            return f"; {section} belongs below [{home}]"
    return near_miss(section, sections)


def _first_down(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _read(path: Path, option: str) -> str:
    """The file's text. A folder, a missing or unreadable file is one sentence."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{option} {path}: there is no such file; check the path") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{option} {path}: not UTF-8 text; save the file as UTF-8") from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(f"{option} {path}: cannot be read ({reason}); check the path and its permissions") from None
