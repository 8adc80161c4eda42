"""The usual encoder, built from the same table: for texts by the megabyte, which it counts without the interpreter."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from kirotrio.conversation.vocabulary import SLOTS, read_table

if TYPE_CHECKING:
    from tiktoken import Encoding

_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
_SPECIAL = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}


def load_encoding() -> Encoding:
    """Build the encoding: about 100 ms of CPU and 50 MB, so do it once, in a thread.

    Raises KirotrioError where the table is missing or damaged.
    """
    # Imported here: a start without any counting does not owe its time and memory.
    from tiktoken import Encoding

    numbers, tokens = read_table()
    ranks = {tokens[start:end]: rank for rank, (start, end) in enumerate(itertools.pairwise(numbers[SLOTS:]))}
    return Encoding("cl100k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL)
