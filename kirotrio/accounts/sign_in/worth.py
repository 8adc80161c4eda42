"""What the account of a sign-in is worth, asked once: for whom to name it after, and to be kept with it."""

from __future__ import annotations

from attrs import field

from kirotrio.accounts.sign_in.calls import Calls
from kirotrio.accounts.worth.usage import look_up, read_document
from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.usage import AccountUsage


@frozen
class Told:
    """`document` is what Kiro said, as `worth.usage.read_document` takes it; `usage` what it means, with its time."""

    document: dict[str, Json] = field(repr=False)
    usage: AccountUsage


async def asked_worth(calls: Calls, credentials: Credentials) -> Told:
    """Raises and is cancelled as `worth.usage.ask_usage`."""
    answer = await look_up(calls.http, credentials, calls.settings)
    return Told(answer.document, read_document(answer.document, calls.now()))
