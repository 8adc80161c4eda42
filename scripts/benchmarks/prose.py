"""What an answer that comes at once says: ordinary words, in pieces of twelve characters, the same in every request.

Its words are few, so that a gateway which counts tokens knows them all after the first answers. That is how most of an
answer is; what a word costs that nobody has counted yet is told in docs/performance.md.
"""

from __future__ import annotations

import functools
import random

LENGTH = 12
"""Characters of a piece, which are bytes too."""
_VOCABULARY = """
the of and to a in that is it for as with was on be by this not are but from or have an they which one you were all
there would their we him been has when who will no more if out so what up said its about than into them can only
other time new some could these two may first then do any like my now over such our man me even most made after also
did many off before must well back through years where much your way down should because long each just state people
those too little good world make very year still see work life being day under never same another know while last
might us great old go come since against right came take used himself few house use place during high without again
home around small however found part school thought went say general once upon number don't file function value
error list line test name type read write call return between data code change check order result request answer
model event stream
"""
"""Frequent words first."""
_WORDS = _VOCABULARY.split()
_SEED = 12
_PER_SENTENCE = 14


@functools.lru_cache(maxsize=16)
def pieces(count: int) -> tuple[str, ...]:
    """So many pieces. A word is taken as much more often as it stands further ahead."""
    chance = random.Random(_SEED)
    weights = [1 / rank for rank in range(2, len(_WORDS) + 2)]
    size = count * LENGTH
    text = ""
    while len(text) < size:
        words = chance.choices(_WORDS, weights, k=_PER_SENTENCE)
        text += f"{' '.join(words).capitalize()}. "
    return tuple(text[start : start + LENGTH] for start in range(0, size, LENGTH))
