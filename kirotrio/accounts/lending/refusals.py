"""What a refusal means for the account that met it, whoever has asked."""

from __future__ import annotations

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.classes import frozen
from kirotrio.errors import Blame, KirotrioError


@frozen
class Pause:
    """`cooldown`: what holds now, None if nothing does. `at`: when it was noted. `resets_at`: when a used-up
    subscription has credits again, if that is known. Both in epoch seconds."""

    cooldown: Cooldown | None
    at: float
    resets_at: float | None = None


async def pause(pool: Pool, member: Member, error: KirotrioError, model: str) -> Pause:
    """Note it. For a subscription that is used up the date of its reset is asked for. Cancellation leaves the pause
    as it was noted first."""
    now = pool.now()
    noted = pool.cooldowns.note(member.key, error, now, model=model)
    if error.blame is not Blame.QUOTA:
        return Pause(noted, now)
    # Only now, since others must not be sent to it while the date is asked for.
    reset = await pool.usage.next_reset(member.name, member.account.credentials)
    if reset is None:
        return Pause(noted, now)
    now = pool.now()
    pool.cooldowns.lift(member.key, now, Blame.QUOTA)
    return Pause(pool.cooldowns.note(member.key, error, now, resets_at=reset), now, reset)
