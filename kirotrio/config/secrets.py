"""Which of the values in a `Settings` must never be shown."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from kirotrio.config.options import options, value_of
from kirotrio.config.settings import Settings


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret that is set, and the password inside the proxy's address in both its spellings."""
    secrets = {str(value_of(settings, option.name)) for option in options().values() if option.secret}
    try:
        password = urlsplit(settings.upstream.proxy_url).password or ""
    except ValueError:  # not an address at all; then the whole of it is the secret
        password = ""
    return frozenset(secret for secret in (*secrets, password, unquote(password)) if secret)
