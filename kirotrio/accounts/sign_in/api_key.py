"""A `ksk_` key: nothing to sign in with, but worth a try before it is kept (KIRO_PROTOCOL 5.3)."""

from __future__ import annotations

import re

from kirotrio.accounts.credential import ApiKey
from kirotrio.accounts.sign_in.calls import Calls
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.accounts.worth.usage import ask_usage
from kirotrio.errors import AccountSuspended, KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.usage import AccountUsage

_KEY = re.compile(r"ksk_[!-~]{8,1024}")


def checked_key(key: str) -> ApiKey:
    """Raises SignInFailed for what cannot be a key."""
    text = key.strip()
    if "..." in text or "…" in text:
        raise SignInFailed("The API key was cut (it contains dots): copy the whole of it", "unusable")
    if not _KEY.fullmatch(text):
        raise SignInFailed(
            "That is no Kiro API key: one begins with ksk_ and has no blanks in it. Make one in the Kiro portal.",
            "unusable",
        )
    return ApiKey(text)


async def tried(calls: Calls, credentials: Credentials) -> AccountUsage | None:
    """One cheap call with the key: what the account is worth, None where Kiro takes the key and does not tell.

    Raises SignInFailed where Kiro refuses the key, else as the call.
    """
    try:
        return await ask_usage(calls.http, credentials, calls.settings, now=calls.now)
    except AccountSuspended as error:
        raise _refused(error) from error
    except KirotrioError as error:
        if error.upstream_status not in (400, 401, 402, 403, 404):
            raise
    # Not every protocol tells a key without a profile its usage: the list of models decides.
    upstream = calls.settings.upstream
    endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).models(origin=upstream.origin)
    answer = await calls.once(
        endpoint.method,
        endpoint.url,
        headers=headers_for(credentials, endpoint, user_agent=upstream.user_agent, attempts=1),
        body=endpoint.body,
    )
    if answer.status == 200:
        return None
    refused = from_response(answer.status, answer.headers, answer.body)
    raise _refused(refused) if answer.status in (400, 401, 402, 403, 404) else refused


def _refused(error: KirotrioError) -> SignInFailed:
    if isinstance(error, AccountSuspended):
        return SignInFailed(error.message, "refused", upstream_status=error.upstream_status)
    return SignInFailed(
        f"Kiro refuses this API key ({error.upstream_status}): copy it once more from the Kiro portal, or make a new "
        "one there. Keys need a paid plan.",
        "refused",
        upstream_status=error.upstream_status,
    )
