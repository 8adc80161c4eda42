"""Values of accounts on the command line."""

from __future__ import annotations

from typing import Any

import click

from kirotrio.config.options import options
from kirotrio.config.values import Refused, parse
from kirotrio.errors import SettingsError


class ProxyValue(click.ParamType[str]):
    """An account's own proxy: an address, or `none`; with `default`, also that word, for the settings' one."""

    name = "proxy"

    def __init__(self, *, default: bool = False) -> None:
        self._default = default

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from kirotrio.accounts.records import NO_PROXY
        from kirotrio.kiro.proxies import parse_proxy

        word = str(value).strip()
        if word.lower() == "none":
            return NO_PROXY
        if word.lower() == "default" and self._default:
            return ""
        try:
            proxy_url = str(parse(options()["upstream.proxy_url"], word))
            if proxy_url:
                parse_proxy(proxy_url, "the proxy")
        except (Refused, SettingsError) as refused:
            self.fail(str(refused), param, ctx)
        if not proxy_url:
            self.fail("it must be an address, or none" + (", or default" if self._default else ""), param, ctx)
        return proxy_url


def named_region(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The name of a region, checked as in a setting."""
    if value is None:
        return None
    try:
        return str(parse(options()["upstream.region"], value))
    except Refused as refused:
        raise click.BadParameter(str(refused)) from None


def account_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The name of an account that there is to be."""
    from kirotrio.accounts.records import is_name

    if value is not None and not is_name(value):
        raise click.BadParameter("up to 64 letters, digits, dots, dashes and underscores can be a name")
    return value
