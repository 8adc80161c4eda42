"""News of pauses as they travel between processes."""

from __future__ import annotations

import math
from typing import Any

from kirotrio.accounts.cooldowns import Cooldown, News
from kirotrio.errors import Blame


def told_of(news: News) -> list[Any]:
    """As it travels: account, model, blame, reason, began at, until, strikes, ended before, forgiven before. JSON has
    no infinity; None stands for it."""
    cooldown = news.cooldown
    of = [None] * 4 if cooldown is None else [cooldown.blame.value, cooldown.reason, cooldown.began_at, cooldown.until]
    times = [None if isinstance(one, float) and math.isinf(one) else one for one in of]
    befores = [None if math.isinf(one) else one for one in (news.ended_before, news.forgiven_before)]
    return [news.account, news.model, *times, news.strikes, *befores]


def news_of(told: list[Any]) -> News:
    account, model, blame, reason, began_at, until, strikes, ended, forgiven = told
    cooldown = None
    if blame is not None:
        cooldown = Cooldown(Blame(blame), reason, began_at, math.inf if until is None else until, model)
    return News(
        account,
        model,
        cooldown,
        -math.inf if ended is None else ended,
        -math.inf if forgiven is None else forgiven,
        strikes,
    )
