"""The tree of settings as a flat list: one `Option` per setting, found by its name `section.name`."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from kirotrio.classes import frozen
from kirotrio.config.settings import Settings


@frozen
class Option:
    """What is known about one setting. `kind` is its type: str, bool, int, float, Path or dict."""

    name: str
    kind: type
    default: Any
    help: str
    unit: str
    secret: bool
    choices: tuple[str, ...]
    least: float | None
    most: float | None
    above: float | None
    form: str

    @property
    def variable(self) -> str:
        """The long spelling in the environment: `KIROTRIO_SECTION_NAME`."""
        return "KIROTRIO_" + self.name.replace(".", "_").upper()


@functools.cache
def options() -> Mapping[str, Option]:
    """Every setting by name, in the order of the tree."""
    found: dict[str, Option] = {}
    sections = typing.get_type_hints(Settings)
    for section in attrs.fields(Settings):
        kinds = typing.get_type_hints(sections[section.name])
        for field in attrs.fields(sections[section.name]):
            name = f"{section.name}.{field.name}"
            default = field.default
            if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to mypy
                default = default.factory()
            found[name] = Option(name, _plain(kinds[field.name]), default, **field.metadata)
    return MappingProxyType(found)


def value_of(settings: Settings, name: str) -> Any:
    """The present value of the setting `section.name`."""
    section, _, field = name.partition(".")
    return getattr(getattr(settings, section), field)


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The same settings with some of them, by name, replaced."""
    changed: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, field = name.partition(".")
        changed.setdefault(section, {})[field] = value
    return attrs.evolve(
        settings, **{section: attrs.evolve(getattr(settings, section), **new) for section, new in changed.items()}
    )


def shown(option: Option, value: object) -> str:
    """A value as a table has it. Of a secret, only whether it is set."""
    if option.secret:
        return "(set)" if value else "(not set)"
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        from decimal import Decimal

        return format(Decimal(repr(value)), "f").removesuffix(".0")
    if isinstance(value, dict):
        return ", ".join(f"{alias}={model}" for alias, model in value.items()) or "-"
    return str(value)


def _plain(hint: Any) -> type:
    """`dict[str, str]` and `Path | None` are to the loader a dict and a Path."""
    arguments = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is dict:
        return dict
    plain: type = arguments[0] if arguments else hint
    return plain
