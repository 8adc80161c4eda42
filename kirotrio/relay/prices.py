"""What answers cost that ended before Kiro had told it: an estimate, from what the model's finished answers have cost.

Kiro tells the credits of an answer in its last event (KIRO_PROTOCOL 3.4), so a client that leaves ahead of that would
pay none. The estimate is charged to limits alone; records have only what Kiro told. Pure.
"""

from __future__ import annotations

from typing import Final

from attrs import field

from kirotrio.classes import define
from kirotrio.kiro.models import ModelProfile

INPUT_AT_FIRST: Final = 2e-6
OUTPUT_AT_FIRST: Final = 5e-5
"""Credits of a token of a model whose multiplier is 1, until one of its answers has told. A guess of the right size;
what is learned keeps their proportion, and changes how much both come to."""
_KEPT: Final = 0.9
"""How much of what is known counts beside a further answer: about the last ten matter."""
_MOST_MODELS: Final = 200


@define
class Prices:
    """Of each model by id, of this process: credits that were told, beside what the first guess had been."""

    _told: dict[str, tuple[float, float]] = field(factory=dict, init=False)

    def learn(self, model: ModelProfile, given: int, put_out: int, credits: float) -> None:
        """An answer of so many tokens (input, cached ones too; output) has cost so much."""
        guessed = _guess(model, given, put_out)
        if guessed <= 0 or credits < 0:
            return
        if model.id not in self._told and len(self._told) >= _MOST_MODELS:
            self._told.clear()
        told, would = self._told.get(model.id, (0.0, 0.0))
        self._told[model.id] = told * _KEPT + credits, would * _KEPT + guessed

    def estimate(self, model: ModelProfile, given: int, put_out: int) -> float:
        """Credits."""
        told, would = self._told.get(model.id, (1.0, 1.0))
        return _guess(model, given, put_out) * told / would


def _guess(model: ModelProfile, given: int, put_out: int) -> float:
    rate = 1.0 if model.rate is None else model.rate
    return rate * (max(0, given) * INPUT_AT_FIRST + max(0, put_out) * OUTPUT_AT_FIRST)
