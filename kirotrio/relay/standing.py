"""Whether accounts can serve, as far as their last answers tell: what `/ready` says without asking anybody."""

from __future__ import annotations

from attrs import define, field

from kirotrio.errors import Cause, KirotrioError


@define
class Standing:
    """The last refusal of each account that another request would meet too; an answer clears it."""

    _troubles: dict[str, str] = field(factory=dict)

    def failed(self, account: str, error: KirotrioError) -> None:
        """Note an error, if it is one of the account and not of the request or the moment."""
        if error.cause in (Cause.ACCOUNT_UNAVAILABLE, Cause.QUOTA_EXHAUSTED):
            self._troubles[account] = error.message

    def served(self, account: str) -> None:
        self._troubles.pop(account, None)

    def trouble(self, account: str) -> str | None:
        """Why the account cannot serve, as a sentence that may name it; None where nothing is known against it."""
        return self._troubles.get(account)
