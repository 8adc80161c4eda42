"""The process that reads one document: whatever a file does to its reader, it does to this process alone.

On stdin one line of JSON (`kind`, `charset`, `max_pages`, `max_text`, `max_memory`, `max_cpu`), then the document to
the end; on stdout one line of JSON: `text`, `title`, `pages`, `cut`, or `unreadable` with a clause for a person. It
limits its own memory and processor time where the system can, writes no file and opens no connection. `documents`
starts and ends it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from kirotrio.relay.formats.draft import Draft, Full, Unreadable

VERB = "extract-document"
"""How a frozen executable is told to be this process; `kirotrio.__main__` looks for it."""


def main() -> int:
    """Read one document and return the exit code: 0 where an answer was written, be it that nothing can be read."""
    answer_to = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not get between
    order = json.loads(sys.stdin.buffer.readline())
    _limit(order["max_memory"], order["max_cpu"])
    try:
        answer = _extract(order)
    except Unreadable as error:
        answer = {"unreadable": repaired(str(error))}
    except MemoryError:
        answer = {"unreadable": f"reading it takes more than {order['max_memory']} bytes of memory, the most allowed"}
    except Exception as error:
        # The libraries raise all sorts of things for a file whose parts do not fit together.
        answer = {"unreadable": f"the file is damaged, or not of the kind it is said to be ({type(error).__name__})"}
    answer_to.write(json.dumps(answer, ensure_ascii=False).encode())
    answer_to.flush()
    return 0


def _extract(order: dict[str, Any]) -> dict[str, Any]:
    content = sys.stdin.buffer.read()
    draft = Draft(order["max_pages"], order["max_text"])
    with contextlib.suppress(Full):
        _read(order["kind"], content, order, draft)
    if not draft.text:
        raise Unreadable("it holds no text")
    return {
        "text": repaired(draft.text),
        "title": repaired(draft.title).strip(),
        "pages": draft.pages,
        "cut": draft.cut,
    }


def _read(kind: str, content: bytes, order: dict[str, Any], draft: Draft) -> None:
    # Imported here: each needs a library of its own, and only one of them is needed.
    if kind == "pdf":
        from kirotrio.relay.formats.pdf import read_pdf

        read_pdf(content, draft)
    elif kind == "html":
        from kirotrio.relay.formats.html import read_html

        read_html(content, order["charset"], draft)
    else:
        from kirotrio.relay.formats.office import read_office

        read_office(content, order["max_memory"] // 4, draft)


def repaired(text: str) -> str:
    """Without lone surrogates, which no UTF-8 can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _limit(max_memory: int, max_cpu: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for limit, soft, hard in (
        (resource.RLIMIT_AS, max_memory, max_memory),
        (resource.RLIMIT_CPU, max_cpu, max_cpu + 1),  # a signal that says why, ahead of the one that does not
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
    ):
        _, ceiling = resource.getrlimit(limit)
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        with contextlib.suppress(ValueError, OSError):  # a system that knows the limit but not how to set it
            resource.setrlimit(limit, (soft, hard))


if __name__ == "__main__":
    sys.exit(main())
