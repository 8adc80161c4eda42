"""Lending an account to a request: the one that the request names or brings along, else one by strategy."""

from __future__ import annotations

from kirotrio.accounts.lending.loan import Loan
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.lending.wish import Wish
from kirotrio.classes import frozen


@frozen
class Lending:
    pool: Pool

    def borrow(self, wish: Wish) -> Loan:
        """A place on the account that shall answer; entering the loan picks the account.

        Entering raises NotFound for an account or a model that there is not, PermissionDenied for an account that the
        key may not use, AccountUnavailable, QuotaExhausted or RateLimited where nothing can serve.
        """
        return Loan(self.pool, wish)
