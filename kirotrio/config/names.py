"""Which names of the environment stand for which setting (CONTRACT, Settings).

Within one source the long spelling wins over the short form, and that over a name that KiroGate used.
"""

from __future__ import annotations

from types import MappingProxyType

SHORT_FORMS = MappingProxyType(
    {
        "KIROTRIO_HOST": "server.host",
        "KIROTRIO_PORT": "server.port",
        "KIROTRIO_API_KEY": "server.api_key",
        "KIROTRIO_DATA_DIR": "data.dir",
        "KIROTRIO_DATABASE_URL": "store.url",
        "KIROTRIO_PROXY_URL": "upstream.proxy_url",
        "KIROTRIO_LOG_LEVEL": "log.level",
        "KIROTRIO_UPSTREAM_URL": "upstream.url",
        "KIROTRIO_AUTH_URL": "upstream.auth_url",
        "KIROTRIO_PORTAL_URL": "upstream.portal_url",
    }
)
"""Short form of the environment -> setting. Some are the long spelling as well."""

FORERUNNER = MappingProxyType(
    {
        "PROXY_API_KEY": "server.api_key",
        "REFRESH_TOKEN": "accounts.refresh_token",
        "KIRO_API_KEY": "accounts.api_key",
        "KIRO_CREDS_FILE": "accounts.creds_file",
        "KIRO_REGION": "upstream.region",
        "PROFILE_ARN": "accounts.profile_arn",
        "CLIENT_ID": "accounts.client_id",
        "CLIENT_SECRET": "accounts.client_secret",
        "PROXY_URL": "upstream.proxy_url",
        "FIRST_TOKEN_TIMEOUT": "deadlines.first_event",
        "STREAM_READ_TIMEOUT": "deadlines.silence",
        "RATE_LIMIT_PER_MINUTE": "server.rate_per_minute",
        "TOOL_DESCRIPTION_MAX_LENGTH": "tools.description_max_length",
        "LOG_LEVEL": "log.level",
        "DEBUG_MODE": "log.level",
    }
)
"""KiroGate's name -> setting; where two stand for one setting the earlier wins. `PROXY_USERNAME` and
`PROXY_PASSWORD` complete `PROXY_URL`."""
