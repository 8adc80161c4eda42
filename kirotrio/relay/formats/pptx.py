"""PowerPoint: the text of every slide in the order of its shapes, then the speaker's notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from pptx import Presentation

from kirotrio.relay.formats.draft import Draft
from kirotrio.relay.formats.titles import title_of


def read_pptx(content: bytes, draft: Draft) -> None:
    presentation = Presentation(io.BytesIO(content))
    draft.title = title_of(presentation)
    slides = presentation.slides
    for number in range(draft.readable_pages(len(slides), "slides")):
        slide = slides[number]
        draft.add(f"[slide {number + 1}]\n")
        for text in _texts(slide.shapes):
            draft.add(text + "\n")
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = _clean(slide.notes_slide.notes_text_frame.text)
            if notes:
                draft.add(f"[notes]\n{notes}\n")
        draft.add("\n")


def _texts(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _texts(shape.shapes)
        elif shape.has_text_frame:
            if text := _clean(shape.text_frame.text):
                yield text
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                cells = [_clean(cell.text).replace("\n", " ") for cell in row.cells if not cell.is_spanned]
                if any(cells):
                    yield " | ".join(cells)


def _clean(text: str) -> str:
    return text.replace("\v", "\n").strip()
