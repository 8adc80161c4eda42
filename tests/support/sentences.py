"""The sentences that the console says: those of its templates, and those of its code that are said as they stand,
and the settings' help."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import nodes

from kirotrio.config.options import options
from kirotrio.web import console
from kirotrio.web.console.pages import environment

FOLDER = Path(console.__file__).parent
_SAYS = {"N_", "speech", "tell"}
"""What is called with a sentence in code."""


def of_templates() -> Iterator[tuple[str, str]]:
    """Each with the file that it stands in."""
    for path in sorted((FOLDER / "templates").glob("*.html")):
        for call in environment().parse(path.read_text()).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
                yield path.name, call.args[0].value


def of_code() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in _SAYS and isinstance(node.args[0].value, str):
                    yield path.name, node.args[0].value


def of_settings() -> Iterator[tuple[str, str]]:
    """What the settings' page says of each, with its name."""
    for name, option in options().items():
        yield name, option.help


def all_sentences() -> set[str]:
    return {sentence for _, sentence in (*of_templates(), *of_code(), *of_settings())}
