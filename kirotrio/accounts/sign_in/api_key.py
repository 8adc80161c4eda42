"""A `ksk_` key: nothing to sign in with, but worth a try before it is kept (KIRO_PROTOCOL 5.3)."""

from __future__ import annotations

import re

from kirotrio.accounts.credential import ApiKey
from kirotrio.accounts.sign_in.calls import Calls
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.accounts.sign_in.worth import Told, asked_worth
from kirotrio.errors import AccountSuspended, KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response

_PREFIX = "ksk_"
_SIGNS = re.compile(r"[!-~]*")
_SHORTEST, _LONGEST = 12, 1028
"""Characters of a whole key, with its prefix."""


def checked_key(key: str) -> ApiKey:
    """Raises SignInFailed for what cannot be a key."""
    text = key.strip()
    if "..." in text or "…" in text:
        raise SignInFailed("The API key was cut (it contains dots): copy the whole of it", "unusable")
    if wrong := _what_is_wrong(text):
        raise SignInFailed(wrong, "unusable")
    return ApiKey(text)


def _what_is_wrong(text: str) -> str:
    """A sentence on why this is no key, "" for what may be one. Never with the key in it."""
    if not text.startswith(_PREFIX):
        return f"That is no Kiro API key: one begins with {_PREFIX}. Make one in the Kiro portal."
    if len(text.split()) > 1:
        return "The API key has a blank or a line break in it: copy the whole of it, and nothing else."
    if not _SIGNS.fullmatch(text):
        return "The API key has characters in it that no key has: copy it once more from the Kiro portal."
    if len(text) < _SHORTEST:
        return "The API key is too short: copy the whole of it from the Kiro portal."
    if len(text) > _LONGEST:
        return "The API key is too long: copy it alone, and nothing that stands beside it."
    return ""


async def tried(calls: Calls, credentials: Credentials) -> Told | None:
    """One cheap call with the key: what the account is worth, None where Kiro takes the key and does not tell.

    Raises SignInFailed where Kiro refuses the key, else as the call.
    """
    try:
        return await asked_worth(calls, credentials)
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
    refused = from_response(answer.status, answer.headers, answer.body, now=calls.now())
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
