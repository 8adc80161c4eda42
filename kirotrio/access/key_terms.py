"""What a key may do, as a person writes it: checked, with a sentence for what is wrong. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kirotrio.access.budget import COUNTED, Amount, Budget, limits_of
from kirotrio.access.keys import SURFACES
from kirotrio.access.windows import Window
from kirotrio.config.networks import read_network
from kirotrio.errors import PermissionDenied, SettingsError

NAME_LENGTH: Final = 64
_MOST: Final = 2**53
_LONGEST_LIST: Final = 100


def checked(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a `KeyRecord` in the form in which they are kept; `budget` (a Budget) becomes `limits`.

    Raises SettingsError, which names the field, and TypeError for one that cannot be set.
    """
    done: dict[str, Any] = {}
    for name, value in terms.items():
        if name == "budget":
            done["limits"] = limits_of(value)
        elif name in _CHECKS:
            done[name] = _CHECKS[name](value)
        else:
            raise TypeError(f"a key has no field to set called {name}")
    return done


def keys_are_given() -> PermissionDenied:
    """For a member who would make or change a key where operators do that."""
    return PermissionDenied(
        "operators make the keys here, and say what these may do; those that are bound to an account of your own you "
        "make yourself"
    )


def read_limit(text: str) -> tuple[Window, str, float]:
    """`day:requests=100`: the window, what is counted, how much of it. Raises SettingsError."""
    window, colon, rest = text.strip().partition(":")
    counted, equals, amount = rest.partition("=")
    spans = {one.value: one for one in Window}
    if not colon or not equals or window.strip() not in spans or counted.strip() not in COUNTED:
        raise SettingsError(
            f"{text!r} is no limit; one is WINDOW:WHAT=NUMBER, like day:requests=100: the window is minute, day or "
            "month, and requests, tokens and credits are counted"
        )
    try:
        number = float(amount)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _MOST or (counted.strip() != "credits" and number != int(number)):
        raise SettingsError(f"{text!r}: the number behind = has to be 0 or more, and whole unless it is of credits")
    return spans[window.strip()], counted.strip(), number


def budget_from(limits: Iterable[tuple[Window, str, float]]) -> Budget:
    """The budget of several limits. Raises SettingsError where two are for the same."""
    windows: dict[Window, dict[str, float]] = {}
    for window, counted, most in limits:
        of_window = windows.setdefault(window, {})
        if counted in of_window:
            raise SettingsError(f"limits: {window.value}:{counted} is there more than once; name one number for it")
        of_window[counted] = most
    return Budget({window: _amount(most) for window, most in windows.items()})


def _amount(most: Mapping[str, float]) -> Amount:
    requests, tokens = (None if name not in most else int(most[name]) for name in ("requests", "tokens"))
    return Amount(requests, tokens, most.get("credits"))


def _name(value: str) -> str:
    name = value.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise SettingsError(f"name: a key is called by up to {NAME_LENGTH} characters that can be printed")
    return name


def _models(value: Iterable[str]) -> tuple[str, ...]:
    # A blank is none: whoever sends one for a name of theirs that was empty means to restrict, not to allow all.
    return _listed("models", value, lambda one: one.isprintable() and 0 < len(one) <= 128, "the name of a model")


def _surfaces(value: Iterable[str]) -> tuple[str, ...]:
    return _listed("surfaces", value, SURFACES.__contains__, f"one of {', '.join(SURFACES)}")


def _networks(value: Iterable[str]) -> tuple[str, ...]:
    networks = []
    for one in value:
        try:
            networks.append(str(read_network(one)))
        except ValueError:
            raise SettingsError(
                f"networks: {one!r} is no network; one is written like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"
            ) from None
    return _listed("networks", networks, bool, "")


def _listed(name: str, value: Iterable[str], fits: Any, what: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(one.strip() for one in value))
    for one in values:
        if not fits(one):
            raise SettingsError(f"{name}: {one!r} is not {what}")
    if len(values) > _LONGEST_LIST:
        raise SettingsError(f"{name}: there may be {_LONGEST_LIST} at most")
    return values


def _account(value: str) -> str:
    """ "" is any account; a blank is none."""
    name = value.strip()
    if value and not name:
        raise SettingsError(f"account: {value!r} is not the name of an account")
    return name


def _concurrent(value: int) -> int:
    if not 0 <= value <= 1_000_000:
        raise SettingsError("max_concurrent: has to be a whole number of 0 (any number) or more")
    return value


_CHECKS: Final[Mapping[str, Any]] = {
    "name": _name,
    "expires_at": lambda value: value,
    "models": _models,
    "surfaces": _surfaces,
    "networks": _networks,
    "account": _account,
    "max_concurrent": _concurrent,
}
