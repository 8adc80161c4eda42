"""One setting: its default, what it may be, and what is said of it."""

from __future__ import annotations

from typing import Any

from attrs import field


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    secret: bool = False,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    form: str = "",
) -> Any:
    """One setting: what `kirotrio settings` shows of it, its default and what it may be.

    A number lies from `least` to `most`, both allowed, and is greater than `above`. `form` is "url" for an address
    that begins with http:// or https://, "proxy" for one that may also be SOCKS5, "region" for a name like us-east-1,
    "token" for what stands in a header, "database" for an address of a PostgreSQL database,
    "networks" for addresses and networks separated by commas.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "secret": secret,
        "choices": choices,
        "least": least,
        "most": most,
        "above": above,
        "form": form,
    }
    if callable(default):
        return field(factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)
