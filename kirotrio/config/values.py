"""From what a person wrote to the value of a setting, strictly: nothing is truncated, guessed or clipped.

Text comes from the command line and the environment, typed values from TOML. Every refusal is one clause that says
what was wrong and what would be right; it never shows the value of a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kirotrio.config.networks import read_network
from kirotrio.config.options import Option

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})

_INTEGER = re.compile(r"[+-]?[0-9]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z0-9]+)+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMES = {
    "url": ("http", "https"),
    "proxy": ("http", "https", "socks5", "socks5h"),
    "database": ("postgresql", "postgres", "postgresql+psycopg"),
}


class Refused(ValueError):
    """The clause after "section.name (origin): "."""


def parse(option: Option, raw: object, folder: Path | None = None) -> Any:
    """The value of `option` that `raw` stands for.

    A relative path starts at `folder`, the working folder where that is None. Raises Refused.
    """
    value = _READERS[option.kind](option, raw)
    if option.kind is Path:
        return _absolute(option, value, folder)
    return value


def _absolute(option: Option, path: Path, folder: Path | None) -> Path:
    try:
        path = path.expanduser()
        return path.absolute() if folder is None else folder / path
    except (RuntimeError, OSError) as error:
        raise _refusal(option, str(path), "an absolute path") from error


def right(option: Option) -> str:
    """What would be right for this setting, as the end of "it must be …"."""
    if option.choices:
        names = [choice or '""' for choice in option.choices]
        return f"one of {', '.join(names)}"
    if option.kind is bool:
        return "true or false"
    if option.kind is int or option.kind is float:
        noun = "a whole number" if option.kind is int else "a number"
        unit = f" of {option.unit}" if option.unit and not option.unit.startswith("per ") else ""
        return noun + unit + _bounds(option)
    if option.kind is dict:
        return 'a table of alias = "model", or alias=model pairs separated by commas'
    if option.kind is Path:
        return "a path"
    if option.form == "url":
        return "an address that begins with http:// or https:// and names a host; a port and a path may follow"
    if option.form == "proxy":
        return "an address like http://host:port, https://host:port or socks5://user:password@host:port"
    if option.form == "database":
        return "an address like postgresql://user:password@host:5432/name"
    if option.form == "region":
        return "the name of a region like us-east-1"
    if option.form == "token":
        return "copied whole: letters, digits and signs of ASCII alone, without blanks"
    if option.form == "networks":
        return "addresses or networks like 10.0.0.0/8, separated by commas"
    return "text on one line"


def _bounds(option: Option) -> str:
    if option.least is not None and option.most is not None:
        return f" from {option.least:g} to {option.most:g}"
    if option.least is not None:
        return f", {option.least:g} or more"
    if option.above is not None:
        return f" above {option.above:g}"
    return ""


def _refusal(option: Option, raw: object, wanted: str = "") -> Refused:
    wanted = wanted or right(option)
    if option.secret:
        return Refused(f"this value cannot be used; it must be {wanted}")
    shown = repr(raw) if isinstance(raw, str) else str(raw).lower() if isinstance(raw, bool) else str(raw)
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return Refused(f"{shown} cannot be used; it must be {wanted}")


def _boolean(option: Option, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise _refusal(option, raw)


def _whole(option: Option, raw: object) -> int:
    if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()) and len(raw) <= 20:
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise _refusal(option, raw)
    return int(_within(option, raw, raw))


def _number(option: Option, raw: object) -> float:
    number: float
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise _refusal(option, raw)
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise _refusal(option, raw) from None
    if not math.isfinite(number):
        raise _refusal(option, raw)
    return _within(option, number, raw)


def _within(option: Option, number: float, raw: object) -> float:
    if (
        (option.least is not None and number < option.least)
        or (option.most is not None and number > option.most)
        or (option.above is not None and number <= option.above)
    ):
        raise _refusal(option, raw)
    return number


def _text(option: Option, raw: object) -> str:
    text = raw.strip() if isinstance(raw, str) else "\0"
    if _CONTROL.search(text):
        raise _refusal(option, raw)
    if option.choices:
        chosen = text.lower()
        if chosen not in option.choices:
            raise _refusal(option, raw)
        return chosen
    if option.form == "url" and (surplus := _surplus(text)):
        raise Refused(f"an address with {surplus} cannot be used; it must be {right(option)}")
    if option.form == "networks":
        _check_networks(option, text)
    if text and not _has_form(option.form, text):
        raise _refusal(option, raw)
    if option.name == "server.host" and not text:
        raise _refusal(option, raw, "an address or a host name; 127.0.0.1 is this machine alone")
    return text


def _has_form(form: str, text: str) -> bool:
    if form == "region":
        return _REGION.fullmatch(text) is not None
    if form == "token":
        return text.isascii() and text.isprintable() and " " not in text
    if form in _SCHEMES:
        try:
            parts = urlsplit(text)
            _ = parts.port  # raises where the port is not a number in range
        except ValueError:
            return False
        # A database may also be named by a socket's folder, in the query.
        return parts.scheme in _SCHEMES[form] and bool(parts.hostname or form == "database")
    return True


def _check_networks(option: Option, text: str) -> None:
    """Raises Refused for the first of them that is none: a list may be long."""
    for part in text.split(","):
        if part.strip():
            try:
                read_network(part)
            except ValueError:
                raise _refusal(option, part.strip()) from None


def _surplus(url: str) -> str:
    """What stands in an address beside scheme, host, port and path, "" if nothing. It would not be used, and the
    address is shown as it is, so no password may stand there."""
    named = re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]
    parts = {
        # A password with a slash hides the sign in what looks like a path; then the rest is no address.
        "a user or a password": "@" in named or ("@" in url and not _has_form("url", url)),
        "a query": "?" in url,
        "a fragment": "#" in url,
    }
    return " and ".join(name for name, there in parts.items() if there)


def _path(option: Option, raw: object) -> Path:
    if isinstance(raw, Path):
        return raw
    if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
        raise _refusal(option, raw)
    return Path(raw.strip())


def _table(option: Option, raw: object) -> dict[str, str]:
    if isinstance(raw, str):
        pairs = [part.partition("=") for part in raw.split(",") if part.strip()]
        if not all(sign for _, sign, _ in pairs):
            raise _refusal(option, raw)
        raw = {alias.strip(): model.strip() for alias, _, model in pairs}
    if not isinstance(raw, dict):
        raise _refusal(option, raw)
    for alias, model in raw.items():
        if not (isinstance(model, str) and model and alias):
            raise _refusal(option, f"{alias} = {model}")
    return dict(raw)


_READERS: dict[type, Callable[[Option, object], Any]] = {
    bool: _boolean,
    int: _whole,
    float: _number,
    str: _text,
    Path: _path,
    dict: _table,
}
