"""What an Office file says of itself."""

from __future__ import annotations

from typing import Any

_PROPERTIES = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"


def title_of(file: Any) -> str:
    """The title of a Word or PowerPoint file, "" where it has none: there the libraries would invent one."""
    try:
        file.part.package.part_related_by(_PROPERTIES)
    except KeyError:
        return ""
    return file.core_properties.title or ""
