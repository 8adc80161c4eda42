"""How far the token estimate is off, learned from answers whose input the upstream measured.

The model: measured = factor x counted + offset. The factor is the difference between the model's vocabulary and
ours, the offset the upstream's own prompt ("hi" measures 2,000 to 7,000 tokens, KIRO_PROTOCOL 7.2). Errors grow
with the prompt, so the *ratio* measured/counted is what is fitted, by least squares over all answers, with a prior
that holds as long as the answers cannot tell factor and offset apart: starting values, give or take 0.25 and 3,000,
against 5 % of noise in one answer. Old answers fade: every change of the correction halves their weight.

Bounds: only answers above 20,000 measured tokens count, and only with a ratio from 0.4 to 3 (beyond it is a wrong
window, not a vocabulary); factor 0.6 to 2; offset 0 to 20,000; a change needs 3 new answers the first time, and at
most one change is made a day.
"""

from __future__ import annotations

from attrs import evolve

from kirotrio.classes import define, frozen

LEAST_MEASURED = 20_000
"""Tokens; below, the offset hides everything else."""
FACTOR_BOUNDS = (0.6, 2.0)
OFFSET_BOUNDS = (0.0, 20_000.0)
DAY = 86_400.0
_RATIO_BOUNDS = (0.4, 3.0)
_FIRST_ANSWERS = 3
_UNIT = 10_000.0
"""Offsets are fitted in units of so many tokens, which keeps the sums of one size."""
_FACTOR_PRIOR = (0.05 / 0.25) ** 2
_OFFSET_PRIOR = (0.05 / (3_000 / _UNIT)) ** 2


@frozen
class Correction:
    """`counted` tokens are `factor * counted + offset` of the upstream's. `changed_at`: epoch seconds, None: never."""

    factor: float
    offset: float
    changed_at: float | None = None

    def apply(self, counted: float) -> int:
        return max(0, round(self.factor * counted + self.offset))

    def counted(self, estimate: float) -> float:
        """What was counted to give this estimate."""
        return (estimate - self.offset) / self.factor


@define
class Calibration:
    """One model family's correction and the sums it is fitted from. Constant work and memory per answer."""

    start: Correction
    current: Correction
    fresh: int = 0
    """Answers since the last change."""
    _n: float = 0.0
    _v: float = 0.0
    _vv: float = 0.0
    _r: float = 0.0
    _rv: float = 0.0

    @classmethod
    def beginning_with(cls, correction: Correction) -> Calibration:
        return cls(correction, correction)

    def learn(self, estimated: int, measured: int, now: float) -> bool:
        """Take one measured answer in; whether the correction has changed. `now`: epoch seconds.

        `estimated` was made with the correction of that moment; the present one is used to undo it, which is off for
        the few answers that run while it changes.
        """
        counted = self.current.counted(estimated)
        if measured <= LEAST_MEASURED or counted <= 0:
            return False
        ratio = measured / counted
        if not _RATIO_BOUNDS[0] <= ratio <= _RATIO_BOUNDS[1]:
            return False
        # ratio = factor + offset / counted: a straight line over v.
        v = _UNIT / counted
        self._n += 1
        self._v += v
        self._vv += v * v
        self._r += ratio
        self._rv += ratio * v
        self.fresh += 1
        if not self._due(now):
            return False
        self.current = evolve(self._fitted(), changed_at=now)
        self.fresh = 0
        self._n, self._v, self._vv, self._r, self._rv = (
            total / 2 for total in (self._n, self._v, self._vv, self._r, self._rv)
        )
        return True

    def _due(self, now: float) -> bool:
        changed_at = self.current.changed_at
        if changed_at is None:
            return self.fresh >= _FIRST_ANSWERS
        # A clock that was set back by more than a day must not stop the learning for good.
        return abs(now - changed_at) >= DAY

    def _fitted(self) -> Correction:
        # Normal equations of the line, with the prior's two pseudo-observations.
        ff, fo, oo = self._n + _FACTOR_PRIOR, self._v, self._vv + _OFFSET_PRIOR
        f = self._r + _FACTOR_PRIOR * self.start.factor
        o = self._rv + _OFFSET_PRIOR * self.start.offset / _UNIT
        offset = (ff * o - fo * f) / (ff * oo - fo * fo)
        offset = _within(offset * _UNIT, OFFSET_BOUNDS) / _UNIT
        # With the offset in its bounds, the factor that fits best beside it.
        factor = _within((f - fo * offset) / ff, FACTOR_BOUNDS)
        return Correction(factor, offset * _UNIT)


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
