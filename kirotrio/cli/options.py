"""The options that several verbs share, and how they become settings."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kirotrio.config import LoadedSettings
from kirotrio.config.options import Option, options
from kirotrio.config.process import settings_of_process, wants_colour
from kirotrio.config.secrets import secret_values
from kirotrio.config.sources import near_miss
from kirotrio.config.values import Refused, parse

if TYPE_CHECKING:
    from kirotrio.telemetry.log import Log

_Verb = TypeVar("_Verb", bound=Callable[..., Any])

_FLAGS: dict[str, tuple[str, str, str]] = {
    "host": ("server.host", "ADDRESS", "Address to listen on. 0.0.0.0 lets other machines in."),
    "port": ("server.port", "NUMBER", "Port to listen on, from 0 to 65535. 0 takes a free one."),
    "api_key": (
        "server.api_key",
        "KEY",
        "Key that clients must send. Other users of this machine can read it in the list of processes; "
        "KIROTRIO_API_KEY keeps it out of there. Default: one is made on first run and kept.",
    ),
    "allow_short_key": ("server.allow_short_key", "", "Accept a key of fewer than 16 characters."),
    "workers": (
        "server.workers",
        "NUMBER",
        "Processes that share the port and the work, from 1 to 64. Limits hold for all of them together.",
    ),
    "data_dir": ("data.dir", "FOLDER", "Folder for what must last. Default: the platform's own."),
    "refresh_token": ("accounts.refresh_token", "TOKEN", "Refresh token of a social sign-in to Kiro."),
    "kiro_api_key": ("accounts.api_key", "KEY", "Kiro API key, which begins with ksk_."),
    "creds_file": ("accounts.creds_file", "FILE", "Credentials file of the form that the Kiro IDE writes."),
    "region": ("upstream.region", "NAME", "Region of calls to Kiro where no profile names one."),
    "proxy_url": ("upstream.proxy_url", "URL", "HTTP, HTTPS or SOCKS5 proxy for every call to Kiro. Default: none."),
    "log_level": ("log.level", "", "Least severe level to log."),
    "log_format": ("log.format", "", "How to log. auto is console on a terminal and json otherwise."),
}
"""Parameter -> its setting, the placeholder of its value, what the help says. Short defaults are added to it."""

SERVING = ("host", "port", "api_key", "allow_short_key")
WORKERS = ("workers",)
ACCOUNT = ("refresh_token", "kiro_api_key", "creds_file", "region", "proxy_url")
LOGGING = ("log_level", "log_format")
DATA = ("data_dir",)


def flags(*names: str, defaults: Mapping[str, object] = MappingProxyType({})) -> Callable[[_Verb], _Verb]:
    """The named options of `_FLAGS`, as click options of the verb below. `defaults`: what the help calls the default
    where the verb has one of its own."""

    def decorate(verb: _Verb) -> _Verb:
        for name in reversed(names):
            verb = _flag(name, defaults.get(name))(verb)
        return verb

    return decorate


class SettingValue(click.ParamType[Any]):
    """A value of one setting, checked as from anywhere else; only here a wrong one is wrong usage."""

    name = "value"

    def __init__(self, option: Option) -> None:
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return parse(self._option, value)
        except Refused as refused:
            self.fail(str(refused), param, ctx)


def _flag(name: str, default: object = None) -> Callable[[_Verb], _Verb]:
    setting, placeholder, sentence = _FLAGS[name]
    option = options()[setting]
    spelling = "--" + name.replace("_", "-")
    default = option.default if default is None else default
    if default not in ("", None):
        sentence += f" Default: {_shown(default)}."
    if option.kind is bool:
        return click.option(spelling, is_flag=True, default=None, help=sentence)
    metavar = placeholder or f"[{'|'.join(option.choices)}]"
    return click.option(spelling, type=SettingValue(option), metavar=metavar, help=sentence)


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def sources(verb: _Verb) -> _Verb:
    """`--config`, `--env-file` and `--set`."""
    for option in (
        _assignments(),
        click.option(
            "--env-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="File of NAME=value lines, read as if it were the environment, which beats it. Default: none.",
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file with settings. Default: kirotrio.toml in the platform's configuration folder, if there.",
        ),
    ):
        verb = option(verb)
    return verb


def assignments(verb: _Verb) -> _Verb:
    """`--set` alone."""
    return _assignments()(verb)


def _assignments() -> Callable[[_Verb], _Verb]:
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="SECTION.NAME=VALUE",
        callback=_assigned,
        help="Any setting by its name, as `kirotrio settings` lists them. May be given several times.",
    )


def _assigned(_: click.Context, __: click.Parameter, given: Iterable[str]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter("it has the form SECTION.NAME=VALUE, like server.drain=10")
        name = name.strip()
        option = options().get(name)
        if option is None:
            raise click.BadParameter(f"there is no setting {name}{near_miss(name, options())}")
        try:
            pairs[name] = parse(option, value)
        except Refused as refused:
            raise click.BadParameter(f"{name}: {refused}") from None
    return pairs


def overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name from parameters that `flags` and `sources` made; an option of its own beats `--set`.

    An empty key is the same as none: there is no way to ask for a gateway that lets everybody in.
    """
    named = dict(given.get("assignments") or {})
    named |= {_FLAGS[name][0]: value for name, value in given.items() if name in _FLAGS and value is not None}
    return {name: value for name, value in named.items() if not (name == "server.api_key" and value == "")}


def load(given: Mapping[str, Any]) -> LoadedSettings:
    """The settings of a verb with no other parameters, which was called with these. Raises SettingsError."""
    return settings_of_process(overrides(given), env_file=given.get("env_file"), config_file=given.get("config_file"))


def with_settings(*names: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A verb with the named options, `--config`, `--env-file` and `--set`; it is called with the `LoadedSettings`
    first and then with its other parameters. One of those may be called like an option that is not named here."""

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(verb)
        def called(**given: Any) -> int:
            # What is not asked for here belongs to the verb, whatever it is called.
            ours = {name: given.pop(name) for name in (*names, *_SOURCES)}
            return verb(load(ours), **given)

        return flags(*names)(sources(called))

    return decorate


_SOURCES = ("config_file", "env_file", "assignments")


def log_of(loaded: LoadedSettings) -> Log:
    """The log of a verb, on stderr; what loading had to say is its first lines."""
    from kirotrio.telemetry.log import open_log

    log = open_log(
        loaded.settings.log,
        sys.stderr,
        secrets=secret_values(loaded.settings),
        colour=wants_colour(sys.stderr),
    )
    for notice in loaded.notices:
        log.warning("settings", notice=notice)
    return log
