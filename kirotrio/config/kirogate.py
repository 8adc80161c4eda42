"""What an environment made for KiroGate says, in our own terms (CONTRACT, Settings)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from kirotrio.config.names import FORERUNNER
from kirotrio.config.options import options
from kirotrio.config.values import FALSE, TRUE

_LEVELS = {"trace": "debug", "success": "info", "warn": "warning", "critical": "error", "fatal": "error"}
"""Log levels that the forerunner knows and we do not -> the nearest of ours."""
_PROXY_PARTS = ("PROXY_USERNAME", "PROXY_PASSWORD")


def translated(given: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """`(setting, variable, value, notice)` for each KiroGate name in `given`, the weaker of two names first."""
    for variable, name in reversed(tuple(FORERUNNER.items())):
        if variable not in given:
            continue
        value = _reading(variable, given)
        if value is not None:
            spelt = options()[name].variable
            also = _beside_proxy(given) if variable == "PROXY_URL" else ()
            inside = f", with {' and '.join(also)} inside the address" if also else ""
            yield name, variable, value, f"a KiroGate name, taken over; here it is {spelt}{inside}"


def without_counterpart(given: Mapping[str, str], where: str) -> list[str]:
    """Notices about what a KiroGate environment asks for and this program does not do."""
    notices = []
    mode = given.get("DEBUG_MODE", "").strip().lower()
    if mode and mode not in FALSE and _debug_level(mode) is None:
        notices.append(f"{where} DEBUG_MODE: has no effect for this value; KIROTRIO_LOG_LEVEL=debug logs more")
    spelt = options()["upstream.proxy_url"].variable
    for name in _PROXY_PARTS:
        if name in given and name not in _beside_proxy(given):
            lacks = "PROXY_USERNAME" if "PROXY_URL" in given else "PROXY_URL"
            notices.append(
                f"{where} {name}: has no effect without {lacks}; here it stands inside the address in {spelt}, "
                "http://user:password@host:port"
            )
    return notices


def _beside_proxy(given: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the proxy's further names that count: a password alone does not."""
    if "PROXY_URL" not in given or "PROXY_USERNAME" not in given:
        return ()
    return tuple(name for name in _PROXY_PARTS if name in given)


def _reading(variable: str, given: Mapping[str, str]) -> str | None:
    """The value in our terms; None where it has no counterpart."""
    value = given[variable].strip()
    if variable == "PROXY_URL":
        return _proxy(value, given.get("PROXY_USERNAME", ""), given.get("PROXY_PASSWORD", ""))
    if variable == "LOG_LEVEL":
        return _LEVELS.get(value.lower(), value)
    if variable == "DEBUG_MODE":
        return _debug_level(value.lower())
    return value


def _debug_level(mode: str) -> str | None:
    return "debug" if mode in TRUE or mode in ("all", "debug") else None


def _proxy(address: str, user: str, password: str) -> str:
    """One address with user and password inside, percent-encoded. Without a scheme it is an HTTP proxy."""
    scheme, sign, rest = address.rpartition("://")
    scheme = scheme if sign else "http"
    if user:
        secret = f":{quote(password, safe='')}" if password else ""
        rest = f"{quote(user, safe='')}{secret}@{rest.rpartition('@')[2]}"
    return f"{scheme}://{rest}"
