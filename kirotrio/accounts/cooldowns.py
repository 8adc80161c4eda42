"""What a refusal means for the next requests to the account that met it: KIRO_PROTOCOL 4, column "action".

The rule is pure, `cooldown_for`. `Cooldowns` keeps what it gave: in memory, for no request may wait for a database,
with a list of changes for whoever writes them there. It takes in what other gateways have written. All times are epoch
seconds and come from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.config.settings import AccountSettings
from kirotrio.errors import Blame, KirotrioError

RATE_WAIT: Final = 30.0
BURN_RATE_WAIT: Final = 300.0
MODEL_WAIT: Final = 300.0
ACCESS_WAIT: Final = 900.0
HOUR: Final = 3600.0
LONGEST: Final = 32 * 86_400.0
"""A plan resets every month: a date further off is no date to rely on."""
CEILING: Final = 1800.0
"""How far pauses grow that nobody has told us."""
GROWS_WITHIN: Final = 3600.0
"""An account that was left alone for so long after a pause begins with a short one again."""
CLOCKS_APART: Final = 300.0
"""How far the clocks of several gateways may be from each other."""
MODELS: Final = 1000
"""How many pairs of an account and a model are kept; clients make names of models up."""
MODEL_LENGTH: Final = 128

_GROWING: Final = (Blame.RATE, Blame.BURN_RATE)
_DISPROVED: Final = (Blame.RATE, Blame.BURN_RATE, Blame.SHORT_QUOTA, Blame.QUOTA, Blame.ACCESS)
"""What an answer disproves. Not a suspicion: that limits how often, not whether. Not a sign-in that is over: its last
access token may still be good. Not a suspension: a person ends it."""


@frozen
class Cooldown:
    """An account, or with `model` that model on it, is not asked from `began_at` until `until` (inf: a person has to
    act). `reason` is the sentence of the refusal."""

    blame: Blame
    reason: str
    began_at: float
    until: float
    model: str = ""

    @property
    def needs_person(self) -> bool:
        return self.until == math.inf

    def holds(self, now: float) -> bool:
        """Whether it is in force. One that begins in the future was met before the clock was set back."""
        return now < self.until and (self.needs_person or self.began_at <= now + CLOCKS_APART)


def cooldown_for(
    error: KirotrioError,
    now: float,
    settings: AccountSettings,
    resets_at: float | None = None,
    *,
    model: str = "",
    repeats: int = 0,
) -> Cooldown | None:
    """What `error` means for the account that met it; None where it says nothing of the account.

    `resets_at`: when the plan's credits come back, if that is known. `model`: the upstream's name of the model asked.
    `repeats`: how many cooldowns of this blame came before without a success in between.

    - RATE: as long as the upstream says, else 30 s; doubled for each repeat up to half an hour.
    - BURN_RATE: the same, from 5 minutes on.
    - SHORT_QUOTA: as long as the upstream says, else until the hour, the day or the week ends in UTC, a week on Monday.
    - QUOTA: until the reset; where its date is not known, an hour, to look again.
    - SUSPICIOUS: `accounts.suspicion_pause`, or longer if the upstream or the error table says so.
    - MODEL: 5 minutes, for this model alone.
    - ACCESS: 15 minutes.
    - SUSPENDED, SIGN_IN: until a person acts.

    KIRO_PROTOCOL 4 gives the upstream's own times, the 5 minutes of BURN_RATE, the reset date, "short" for MODEL and
    "long" for SUSPICIOUS. All other figures, the doubling and where hour, day and week end are our own choice.
    """
    until = _until(error, now, settings, resets_at, repeats)
    if until is None:
        return None
    return Cooldown(error.blame, error.message, now, until, model[:MODEL_LENGTH] if error.blame is Blame.MODEL else "")


def _until(
    error: KirotrioError, now: float, settings: AccountSettings, resets_at: float | None, repeats: int
) -> float | None:
    told = error.retry_after
    match error.blame:
        case Blame.NONE:
            return None
        case Blame.RATE:
            return now + _grown(RATE_WAIT if told is None else told, repeats)
        case Blame.BURN_RATE:
            return now + _grown(BURN_RATE_WAIT if told is None else told, repeats)
        case Blame.SHORT_QUOTA:
            return _end_of(error.upstream_reason or "", now) if told is None else now + told
        case Blame.QUOTA:
            if resets_at is not None and now < resets_at <= now + LONGEST:
                return resets_at
            return now + max(HOUR, told or 0.0)
        case Blame.SUSPICIOUS:
            return now + max(settings.suspicion_pause, told or 0.0)
        case Blame.MODEL:
            return now + MODEL_WAIT
        case Blame.ACCESS:
            return now + max(ACCESS_WAIT, told or 0.0)
        case Blame.SUSPENDED | Blame.SIGN_IN:
            return math.inf


def _grown(wait: float, repeats: int) -> float:
    """Never less than the upstream asks for, whatever the ceiling; at least a second, or repeats could not grow it."""
    return max(wait, min(max(wait, 1.0) * 2.0 ** min(repeats, 30), CEILING))


def _end_of(reason: str, now: float) -> float:
    """When the period of a limit is over, by the reason's own word; where it has none, in an hour."""
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if reason.startswith("HOURLY"):
        end = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif reason.startswith("DAILY"):
        end = midnight + timedelta(days=1)
    elif reason.startswith("WEEKLY"):
        end = midnight + timedelta(days=7 - midnight.weekday())
    else:
        return now + HOUR
    return end.timestamp()


@frozen
class Change:
    """What has to be written of one account, or one model on it, in this order: what began before `ended_before` is to
    go (another gateway may have met something since), and `cooldown`, if there is one, is to stand where nothing stands
    that ends as late."""

    account: str
    model: str
    cooldown: Cooldown | None
    ended_before: float = -math.inf


@frozen
class News:
    """What was met of one account, or one model on it, for other processes of the same gateway: `cooldown`, the
    `strikes`-th of its blame in a row where those grow; or that what began before `ended_before` is over, or that what
    happened before `forgiven_before` does not make later pauses longer."""

    account: str
    model: str
    cooldown: Cooldown | None = None
    ended_before: float = -math.inf
    forgiven_before: float = -math.inf
    strikes: int = 0


@define
class _Strikes:
    count: int
    last_at: float
    over_at: float


@define(eq=False)
class Cooldowns:
    """All cooldowns that are known, one for each account and for each model on it: of two the one that ends later,
    since it covers the other. `account` is whatever the caller tells accounts apart by."""

    settings: AccountSettings
    _known: dict[tuple[str, str], Cooldown] = field(factory=dict, init=False)
    _changes: dict[tuple[str, str], Change] = field(factory=dict, init=False)
    _strikes: dict[tuple[str, Blame], _Strikes] = field(factory=dict, init=False)
    met: Callable[[News], None] | None = field(default=None, init=False)
    """Told of whatever is met here."""

    def note(
        self, account: str, error: KirotrioError, now: float, *, model: str = "", resets_at: float | None = None
    ) -> Cooldown | None:
        """Cool the account down if `error` says so; what holds now because of it, None if nothing does.

        Further failures of one blame while it is in force belong to it: they were under way together.
        """
        repeats = self._repeats(account, error.blame, now)
        cooldown = cooldown_for(error, now, self.settings, resets_at, model=model, repeats=repeats)
        if cooldown is None:
            return None
        if cooldown.blame in _GROWING:
            self._strikes[account, cooldown.blame] = _Strikes(repeats + 1, now, cooldown.until)
        self._prune(now)
        key = (account, cooldown.model)
        known = self._known.get(key)
        if known is not None and known.holds(now) and known.until >= cooldown.until:
            return known
        self._begin(key, cooldown, now)
        if self.met is not None:
            strikes = repeats + 1 if cooldown.blame in _GROWING else 0
            self.met(News(account, cooldown.model, cooldown, strikes=strikes))
        return cooldown

    def hear(self, news: News, now: float) -> None:
        """Take over what another process has met, as if it had been met here. Whoever comes to it first writes it."""
        key, cooldown = (news.account, news.model), news.cooldown
        known = self._known.get(key)
        if cooldown is None:
            if known is not None and known.began_at < news.ended_before:
                self._drop(key, news.ended_before)
            self._forgive(news.account, news.forgiven_before)
        elif cooldown.holds(now):
            if news.strikes:
                self._strikes[news.account, cooldown.blame] = _Strikes(news.strikes, cooldown.began_at, cooldown.until)
            if known is None or not known.holds(now) or known.until < cooldown.until:
                self._begin(key, cooldown, now)

    def served(self, account: str, model: str, sent_at: float) -> None:
        """The account has answered a request that was sent at `sent_at`: what began before that is disproved."""
        for key in ((account, ""), (account, model[:MODEL_LENGTH])):
            known = self._known.get(key)
            disproved = known is not None and (known.blame in _DISPROVED or known.blame is Blame.MODEL)
            if known is not None and disproved and known.began_at < sent_at:
                self._end(key, sent_at)
        if self._forgive(account, sent_at) and self.met is not None:
            self.met(News(account, "", forgiven_before=sent_at))

    def against(self, account: str, model: str, now: float) -> Cooldown | None:
        """What keeps this account from being asked for this model now; of several the one that ends last."""
        both = (self._known.get((account, "")), self._known.get((account, model[:MODEL_LENGTH])))
        in_force = [cooldown for cooldown in both if cooldown is not None and cooldown.holds(now)]
        return max(in_force, key=lambda cooldown: cooldown.until, default=None)

    def of(self, account: str, now: float) -> list[Cooldown]:
        """All that are in force, the account's own first."""
        mine = [known for (whose, _), known in self._known.items() if whose == account and known.holds(now)]
        return sorted(mine, key=lambda cooldown: cooldown.model)

    def lift(self, account: str, now: float, *blames: Blame) -> None:
        """End the cooldowns of these blames, of all without any: a person has acted, or credits are there again."""
        for key, known in list(self._known.items()):
            if key[0] == account and (not blames or known.blame in blames):
                self._end(key, now)
        for whose, blame in list(self._strikes):
            if whose == account and (not blames or blame in blames):
                del self._strikes[whose, blame]
                if self.met is not None:
                    self.met(News(account, "", forgiven_before=now))

    def forget(self, account: str) -> None:
        """The account is gone, and so is whatever the database holds of it: nothing is left to write."""
        for key in [key for key in self._known if key[0] == account]:
            del self._known[key]
        for key in [key for key in self._changes if key[0] == account]:
            del self._changes[key]
        for strike in [strike for strike in self._strikes if strike[0] == account]:
            del self._strikes[strike]

    # Beside the database

    def changes(self) -> tuple[Change, ...]:
        """What is not yet known to be written, oldest first. `saved` takes it off."""
        return tuple(self._changes.values())

    def saved(self, changes: Iterable[Change]) -> None:
        """These are written. What has changed again since then is still to be."""
        for change in changes:
            key = (change.account, change.model)
            if self._changes.get(key) is change:
                del self._changes[key]

    def load(self, rows: Iterable[tuple[str, Cooldown]], now: float, *, written: Collection[str] = frozenset()) -> None:
        """Take over what the database holds, all of it: what is not there any more has been lifted elsewhere.

        What is still to be written here holds against it, as it will when it is written. `written`: the accounts whose
        pauses are written there; what was lifted of them is told to the other processes, which would go on telling it
        to whoever starts.
        """
        stored = {(account, cooldown.model): cooldown for account, cooldown in rows if cooldown.holds(now)}
        merged = dict(stored)
        for key, change in self._changes.items():
            there = stored.get(key)
            if there is not None and there.began_at < change.ended_before:
                there = None
                del merged[key]
            mine = change.cooldown
            if mine is not None and mine.until > now and (there is None or there.until < mine.until):
                merged[key] = mine
        before, self._known = self._known, merged
        for key, known in before.items():
            there = merged.get(key)
            lifted = known.holds(now) and (there is None or there.began_at > known.began_at)
            if lifted and key[0] in written and self.met is not None:
                self.met(News(*key, ended_before=math.nextafter(known.began_at, math.inf)))

    def _begin(self, key: tuple[str, str], cooldown: Cooldown, now: float) -> None:
        self._known[key] = cooldown
        pending = self._changes.pop(key, None)  # so that the order is that of the latest
        ended_before = -math.inf if pending is None else pending.ended_before
        self._changes[key] = Change(*key, cooldown, ended_before)
        self._bound(now)

    def _forgive(self, account: str, sent_at: float) -> bool:
        """Repeats are over for an account that answered what was sent then; whether there were any."""
        over = [
            (account, blame)
            for blame in _GROWING
            if (strikes := self._strikes.get((account, blame))) is not None and strikes.last_at < sent_at
        ]
        for key in over:
            del self._strikes[key]
        return bool(over)

    def _end(self, key: tuple[str, str], ended_before: float) -> None:
        self._drop(key, ended_before)
        if self.met is not None:
            self.met(News(*key, ended_before=ended_before))

    def _drop(self, key: tuple[str, str], ended_before: float) -> None:
        self._known.pop(key, None)
        self._changes.pop(key, None)
        self._changes[key] = Change(*key, None, ended_before)

    def _repeats(self, account: str, blame: Blame, now: float) -> int:
        strikes = self._strikes.get((account, blame))
        if strikes is None or now > strikes.over_at + GROWS_WITHIN:
            return 0
        return strikes.count - (now < strikes.over_at)

    def _prune(self, now: float) -> None:
        for key in [key for key, known in self._known.items() if known.until <= now]:
            del self._known[key]

    def _bound(self, now: float) -> None:
        models = [key for key in self._known if key[1]]
        if len(models) > MODELS:
            self._end(min(models, key=lambda key: self._known[key].until), now)
