"""Which calls go through a proxy, and what the address of one may look like.

An address may be HTTP, HTTPS (TLS to the proxy) or SOCKS5. User and password stand in it percent-encoded; what they
decode to are bytes, UTF-8 where the person wrote text. `socks5` and `socks5h` mean the same here: the proxy resolves
the names, since a look-up from this machine would be a call that goes round it.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import re
from typing import Final, Literal
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import SettingsError

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_SOCKS_WORD: Final = 255
"""Bytes of a user name or a password (RFC 1929)."""

ACCOUNTS_OWN: Final = "the account's proxy address"
"""What the `setting` of a proxy is that one account has for itself."""


@frozen
class Proxy:
    """One proxy, as an address named it. `user` is None where the address names none.

    `setting` is what holds the address, for messages. `place` is safe to show.
    """

    scheme: Literal["http", "https", "socks5"]
    host: str
    port: int
    user: bytes | None = field(default=None, repr=False)
    password: bytes = field(default=b"", repr=False)
    setting: str = "upstream.proxy_url"

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> bytes:
        """The value of `Proxy-Authorization` (RFC 7617), b"" where there is no user."""
        if self.user is None:
            return b""
        return b"Basic " + base64.b64encode(self.user + b":" + self.password)


def parse_proxy(address: str, setting: str = "upstream.proxy_url") -> Proxy:
    """The proxy at `address`. Raises SettingsError, which names `setting` and shows nothing of the address."""
    scheme: Literal["http", "https", "socks5"]
    parts = _parts(address)
    if parts is None:
        raise _wrong(setting)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        scheme = "http"
    elif parts.scheme == "https":
        scheme = "https"
    elif parts.scheme in ("socks5", "socks5h"):
        scheme = "socks5"
    else:
        raise _wrong(setting)
    if (
        not host
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or port == 0
        or any(letter.isspace() for letter in host)
    ):
        raise _wrong(setting)
    if _is_not_encoded(parts.netloc):
        raise SettingsError(
            f"{setting}: user and password have to be percent-encoded (@ is %40, : is %3A, / is %2F, % is %25)"
        )
    user = unquote_to_bytes(parts.username) if parts.username else b""
    password = unquote_to_bytes(parts.password) if parts.password else b""
    if scheme == "socks5" and max(len(user), len(password)) > _LONGEST_SOCKS_WORD:
        raise SettingsError(
            f"{setting}: SOCKS5 allows {_LONGEST_SOCKS_WORD} bytes for the user name and as many for the password"
        )
    if scheme != "socks5" and b":" in user:
        raise SettingsError(f"{setting}: the user name of an HTTP proxy cannot hold a colon (%3A)")
    return Proxy(scheme, host, port or _PORTS[scheme], user if user or password else None, password, setting)


def _parts(address: str) -> SplitResult | None:
    """None where it is no address. Apart, so that what the library says of it, which quotes it, goes no further."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises where the port is not a number in range
    except ValueError:
        return None
    return parts


def _is_not_encoded(netloc: str) -> bool:
    """Whether a sign that has a meaning stands in user or password as itself: where they end would be a guess."""
    userinfo = netloc.rpartition("@")[0]
    return "@" in userinfo or _LONE_PERCENT.search(userinfo) is not None


def _wrong(setting: str) -> SettingsError:
    return SettingsError(
        f"{setting}: not a usable proxy address; it has the form http://host:port, https://host:port or "
        "socks5://user:password@host:port (user and password percent-encoded: @ is %40, : is %3A, / is %2F, % is %25)"
    )


def bypasses_proxy(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether `no_proxy` excepts this host: `*`, names with their subdomains, `host:port`, addresses, networks.

    Our own reading of the variable, since the library's is off together with its other looks at the environment
    (TRIO_STACK, trap 14).
    """
    if not no_proxy:
        return False
    host = host.lower().strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        if entry == "*":
            return True
        name, wanted_port = _split_port(entry)
        if wanted_port and wanted_port != str(port or ""):
            continue
        if address is not None:
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(name.strip("[]"), strict=False):
                    return True
            continue
        name = name.removeprefix("*").strip(".")
        if name and (host == name or host.endswith("." + name)):
            return True
    return False


def _split_port(entry: str) -> tuple[str, str]:
    """An entry's host and port; a bare IPv6 address has colons and no port."""
    if entry.startswith("["):
        host, _, port = entry.partition("]")
        return host + "]", port.removeprefix(":")
    host, sign, port = entry.rpartition(":")
    return (host, port) if sign and ":" not in host else (entry, "")
