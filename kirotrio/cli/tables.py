"""Tables that stay readable: no cell is broken, and what a narrow terminal has no room for stands below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NOTHING = "-"
"""What a cell says that has nothing to say; below a table it is left out."""
_ENDLESS = 10_000

Rows: TypeAlias = Sequence[Sequence[Text]]


def print_table(
    console: Console, headings: Sequence[str], rows: Rows, *, first: Sequence[str], box: Box | None
) -> None:
    """One row for each of `rows`, whose first cell is its name.

    Where a terminal is too narrow for all columns, it has those of `first`, in their order, that there is room for, and
    the rest of each row as a line below the table; where not even two fit, such lines alone.
    """
    shown = _shown(console, headings, rows, first, box)
    if len(shown) > 1:
        console.print(_table(headings, rows, shown, box))
    if len(shown) == len(headings):
        return
    below = [number for number, heading in enumerate(headings) if heading not in shown and number]
    for row in rows:
        rest = [Text.assemble(f"{headings[number]} ", row[number]) for number in below if row[number].plain != NOTHING]
        if rest:
            console.print(Text.assemble(row[0], ": ", Text(", ").join(rest)))


def _shown(console: Console, headings: Sequence[str], rows: Rows, first: Sequence[str], box: Box | None) -> list[str]:
    """The columns that there is room for."""

    def fits(names: list[str]) -> bool:
        room = console.options.update(width=_ENDLESS)
        return console.measure(_table(headings, rows, names, box), options=room).maximum <= console.width

    if not console.is_terminal or fits(list(headings)):
        return list(headings)
    shown = [headings[0]]
    for heading in first:
        wider = [name for name in headings if name in (*shown, heading)]
        if fits(wider):
            shown = wider
    return shown


def _table(headings: Sequence[str], rows: Rows, shown: Sequence[str], box: Box | None) -> Table:
    table = Table(box=box, pad_edge=False, highlight=False)
    numbers = [headings.index(name) for name in shown]
    for name in shown:
        table.add_column(name, no_wrap=True, overflow="fold")
    for row in rows:
        table.add_row(*(row[number] for number in numbers))
    return table
