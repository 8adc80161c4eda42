"""Word: paragraphs, lists, tables, text boxes and notes, in their order.

python-docx opens the package; the text is collected from the elements themselves, because the library's own
`paragraph.text` leaves out what stands in content controls, text boxes and tracked insertions.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml

from kirotrio.relay.formats.draft import Draft
from kirotrio.relay.formats.titles import title_of

_HEADING = re.compile(r"heading ([1-6])")
_UNSEEN: Final = frozenset(
    {
        qn("w:del"),
        qn("w:moveFrom"),
        qn("w:pPr"),  # holds tab stops, which are spelled as tabs are
        qn("w:rPr"),
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    }
)
"""Text that was deleted or moved away, settings, and second renderings of a shape."""
_SIGNS: Final = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT, _BOX, _NOTE = qn("w:t"), qn("w:txbxContent"), (qn("w:footnote"), qn("w:endnote"))


def read_docx(content: bytes, draft: Draft) -> None:
    document = docx.Document(io.BytesIO(content))
    draft.title = title_of(document)
    marks = _marks(document)
    for block in _blocks(document.element.body, marks):
        draft.add(block + "\n\n")
    for kind in (RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES):
        for note in _notes(document, kind, marks):
            draft.add(note + "\n\n")


def _marks(document: Any) -> dict[str, str]:
    """Style id to what stands ahead of its paragraphs. The id is in the writer's language, the name is not."""
    marks = {}
    for style in document.styles.element.iterchildren(qn("w:style")):
        found = style.find(qn("w:name"))
        name = found.get(qn("w:val"), "").lower() if found is not None else ""
        if match := _HEADING.fullmatch(name):
            marks[style.get(qn("w:styleId"))] = "#" * int(match[1]) + " "
        elif name.startswith(("list bullet", "list number")):
            marks[style.get(qn("w:styleId"))] = "- "
    return marks


def _blocks(element: Any, marks: dict[str, str]) -> Iterator[str]:
    """The paragraphs and tables within, each as text; empty ones are left out."""
    for child in element.iterchildren():
        if child.tag == _PARAGRAPH:
            boxes: list[Any] = []
            text = "".join(_inline(child, boxes)).strip()
            if text:
                yield _mark(child, marks) + text
            for box in boxes:
                yield from _blocks(box, marks)
        elif child.tag == _TABLE:
            rows = [row for row in _rows(child, marks) if row.strip(" |")]
            if rows:
                yield "\n".join(rows)
        elif child.tag not in _UNSEEN:
            yield from _blocks(child, marks)


def _rows(table: Any, marks: dict[str, str]) -> Iterator[str]:
    for row in table.iter(_ROW):
        if next(row.iterancestors(_TABLE)) is table:
            cells = (cell for cell in row.iter(_CELL) if next(cell.iterancestors(_ROW)) is row)
            yield " | ".join(" / ".join(_blocks(cell, marks)).replace("\n", " ") for cell in cells)


def _inline(element: Any, boxes: list[Any]) -> Iterator[str]:
    for child in element.iterchildren():
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag in _SIGNS:
            yield _SIGNS[child.tag]
        elif child.tag == _BOX:
            boxes.append(child)
        elif child.tag not in _UNSEEN:
            yield from _inline(child, boxes)


def _mark(paragraph: Any, marks: dict[str, str]) -> str:
    style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    mark = marks.get(style.get(qn("w:val"))) if style is not None else None
    return mark or ("- " if paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None else "")


def _notes(document: Any, kind: str, marks: dict[str, str]) -> Iterator[str]:
    for relation in document.part.rels.values():
        if relation.reltype == kind and not relation.is_external:
            for note in parse_xml(relation.target_part.blob).iterchildren(*_NOTE):
                text = "\n".join(_blocks(note, marks))
                if text:
                    yield f"[note {note.get(qn('w:id'))}] {text}"
