"""Which of the values in a `Settings` must never be shown."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from kirotrio.config.options import options, value_of
from kirotrio.config.settings import Settings


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret that is set, and the passwords inside addresses in both their spellings."""
    secrets = {str(value_of(settings, option.name)) for option in options().values() if option.secret}
    for address in (settings.upstream.proxy_url, settings.store.url):
        password = password_in(address)
        secrets |= {password, unquote(password)}
    return frozenset(secret for secret in secrets if secret)


def password_in(address: str) -> str:
    """The password that stands in an address, as it stands there; "" if none."""
    try:
        return urlsplit(address).password or ""
    except ValueError:  # not an address at all; then the whole of it is the secret
        return ""
