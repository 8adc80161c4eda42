"""From everything a person may have written to one `Settings` value, with the origin of each part.

Order (CONTRACT, Settings): command line, environment, env file, one TOML file, default. The working folder is never
read unasked. A value counts only if nothing stronger is there, and only values that count are checked.

This is a layer of its own rather than a settings library because each value must keep its origin, no message may
show a secret, the environment is a parameter, and numbers are refused instead of truncated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field

from kirotrio.classes import frozen
from kirotrio.config.folders import Folders
from kirotrio.config.options import options, value_of, with_values
from kirotrio.config.settings import Settings
from kirotrio.config.sign_in import with_one_sign_in
from kirotrio.config.sources import (
    Found,
    from_command_line,
    from_no_proxy,
    from_toml,
    from_variables,
    read_env_file,
)
from kirotrio.config.team import unfinished
from kirotrio.config.values import Refused, parse
from kirotrio.errors import SettingsError

CONFIG_FILE = "kirotrio.toml"
"""Its name in the platform's configuration folder."""

DEFAULT = "default"


def _all_default() -> Mapping[str, str]:
    return MappingProxyType(dict.fromkeys(options(), DEFAULT))


@frozen
class LoadedSettings:
    """Settings and where they came from.

    `origins` has every setting: "command line", "environment KIROTRIO_PORT", "env file /path: NAME", a TOML file's
    path, or "default". `notices` are sentences for the person. `config_file` is the TOML file that was read.
    """

    settings: Settings
    origins: Mapping[str, str] = field(factory=_all_default)
    notices: tuple[str, ...] = ()
    config_file: Path | None = None

    def replaced(self, values: Mapping[str, Any], origin: str) -> LoadedSettings:
        """The same with some settings, by name, replaced by values that need no check."""
        return LoadedSettings(
            with_values(self.settings, values),
            MappingProxyType({**self.origins, **dict.fromkeys(values, origin)}),
            self.notices,
            self.config_file,
        )


def load_settings(
    *,
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    env_file: Path | None = None,
    config_file: Path | None = None,
    folders: Folders,
) -> LoadedSettings:
    """Every setting from the strongest source that has it.

    `overrides` come from the command line by setting name, None standing for what was not given. Without
    `config_file`, `kirotrio.toml` in `folders.config` is read if it is there. `data.dir` is `folders.data` by
    default. Raises SettingsError: one sentence with setting, origin, what was wrong and what would be right.
    """
    if config_file is None and folders.config is not None and (folders.config / CONFIG_FILE).is_file():
        config_file = folders.config / CONFIG_FILE

    file_variables = read_env_file(env_file) if env_file is not None else {}
    from_file, file_notices = from_variables(file_variables, f"env file {env_file}:")
    from_environment, environment_notices = from_variables(environ, "environment")
    weak_to_strong = [
        [*from_no_proxy(file_variables, f"env file {env_file}:"), *from_no_proxy(environ, "environment")],
        from_toml(config_file) if config_file is not None else [],
        from_file,
        from_environment,
        from_command_line(overrides),
    ]
    weak_to_strong, other_sign_ins = with_one_sign_in(weak_to_strong)
    counts = {found.name: found for source in weak_to_strong for found in source}

    values = {name: _checked(found) for name, found in counts.items()}
    origins = {name: counts[name].origin if name in counts else DEFAULT for name in options()}
    if "data.dir" not in values and folders.data is not None:
        values["data.dir"] = folders.data
    settings = with_values(Settings(), values)
    settings = _with_patience(settings, counts, origins)
    notices = [found.notice for found in counts.values() if found.notice]
    return LoadedSettings(
        settings,
        MappingProxyType(origins),
        (*notices, *other_sign_ins, *file_notices, *environment_notices, *unfinished(settings.sign_in)),
        config_file,
    )


def _checked(found: Found) -> Any:
    option = options()[found.name]
    try:
        return parse(option, found.raw, found.folder)
    except Refused as refused:
        raise SettingsError(f"{found.name} ({found.origin}): {refused}") from None


def _with_patience(settings: Settings, counts: Mapping[str, Found], origins: dict[str, str]) -> Settings:
    """KiroGate had one `FIRST_TOKEN_TIMEOUT`, thinking or not. It never lowers what applies while thinking may run;
    where it is the longer one, and nobody set the other, it is meant for both."""
    found = counts.get("deadlines.first_event")
    patience = value_of(settings, "deadlines.first_event")
    if (
        found is None
        or not found.origin.endswith("FIRST_TOKEN_TIMEOUT")
        or "deadlines.first_event_thinking" in counts
        or patience <= settings.deadlines.first_event_thinking
    ):
        return settings
    origins["deadlines.first_event_thinking"] = found.origin
    return with_values(settings, {"deadlines.first_event_thinking": patience})
