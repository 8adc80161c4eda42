"""Excel: every sheet as lines of cells with tabs between them."""

from __future__ import annotations

import datetime
import io
from itertools import zip_longest
from typing import Any

from openpyxl import load_workbook

from kirotrio.relay.formats.draft import Draft


def read_xlsx(content: bytes, draft: Draft) -> None:
    """Values as they were last computed; a formula that no program has computed yet stands as the formula."""
    computed = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    written = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
    draft.title = computed.properties.title or ""
    sheets = list(zip(computed.worksheets, written.worksheets, strict=True))
    for values, formulas in sheets[: draft.readable_pages(len(sheets), "sheets")]:
        draft.add(f"[sheet {values.title}]\n")
        for sheet in (values, formulas):
            sheet.reset_dimensions()  # what a file declares is often wrong, and cells outside would be lost
        for row, beside in zip_longest(values.iter_rows(values_only=True), formulas.iter_rows(values_only=True)):
            line = "\t".join(_cell(value, formula) for value, formula in zip_longest(row or (), beside or ()))
            if line.strip():
                draft.add(line.rstrip("\t") + "\n")
        draft.add("\n")


def _cell(value: Any, formula: Any) -> str:
    if value is None:
        value = formula
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    text = getattr(value, "text", None)  # an array formula is an object that holds one
    return " ".join(str(value if text is None else text).split())
