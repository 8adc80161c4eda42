"""Every sentence that an error of ours is made with, read from the code: so none can be added that nobody translates.

Where a sentence has values, something stands in their places; constants of the module are read.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

import kirotrio
from kirotrio.accounts.bringing.sentences import for_page

ROOT = Path(kirotrio.__file__).parent
CLAUSES = {
    "FetchRefused": 1,
    "DocumentUnreadable": 0,
    "ProtocolError": 0,
    "_NotNow": 0,
    "_Unfit": 1,
    "Checked": 2,
    "Refusal": 2,
    "Found": -1,
    "Value": -1,
}
"""What carries a clause that becomes part of an error's sentence, and which argument it is; -1: `problem`."""
VALUES = {
    "after.state.value": "active",
    "before.state.value": "waiting",
    "wanted.value": "active",
    "window.value": "day",
    "name": "requests",
    "part.kind": "image",
    "clause": "email is longer than 320 characters",
    "kind": "a whole number",
    "what": "the name of a model",
    "what[:1].upper()": "7 requests wait for the account work already (accounts.max_queue)",
    "what[1:]": "",
    "there_are": "it has: m1",
    "self._advice()": " It was asked for twice.",
    "_not_offered(reports, model)": "Model 'm' is not available to any account.",
    "way_back": "name an empty database in store.url and put a backup from before into that one with `kirotrio restore "
    "FILE`",
    "beside": "7.json is not there beside it",
    "sentence": "",
    "error.reason": "the refresh token is refused (status 401)",
    "terms.deadline:g": "20",
}
"""What a place has where not anything can stand in it."""
_OF_PLACES: Mapping[str, Mapping[str, str]] = {
    "store/secret_keys.py": {"what": "read"},
    "accounts/sign_in": {"what": "a new code"},
    "accounts": {"name": "work"},
    "kiro": {"name": "work"},
    "relay/fetching.py": {
        "error.message": "there is no host of this name",
        "_reason(error)": "could not be connected to in time",
    },
}


@frozen
class Saying:
    """`kind` is the class of the error; `text` is None where it cannot be read from the code, which is `made`."""

    path: str
    line: int
    kind: str
    text: str | None
    made: str

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


@functools.cache
def _trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@functools.cache
def errors() -> frozenset[str]:
    """The names of all classes beneath KirotrioError."""
    found = {"KirotrioError"}
    bases = [
        (node.name, {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases})
        for tree in _trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    while more := {name for name, above in bases if above & found} - found:
        found |= more
    return frozenset(found)


def sayings() -> Iterator[Saying]:
    for path, tree in _trees().items():
        known = _constants(tree)
        for call in ast.walk(tree):
            kind = getattr(call.func, "attr", getattr(call.func, "id", "")) if isinstance(call, ast.Call) else ""
            if isinstance(call, ast.Call) and (parts := _parts(call, kind)):
                *ahead, last = parts
                for one in _either(last, known):
                    yield Saying(path, call.lineno, kind, _whole(path, kind, [*ahead, one], known), ast.unparse(call))


def _parts(call: ast.Call, kind: str) -> list[ast.expr]:
    named = [word.value for word in call.keywords if word.arg == "problem"]
    if kind in CLAUSES:
        place = CLAUSES[kind]
        return named if place < 0 else call.args[place : place + 1]
    return call.args[: 2 if kind == "BodyInvalid" else 1] if kind in errors() else []


def _whole(path: str, kind: str, parts: list[ast.expr], known: Mapping[str, list[ast.expr]]) -> str | None:
    said = [_text(path, part, known) for part in parts]
    if kind == "BodyInvalid" and said[0] is None:
        said[0] = "name"
    if any(part is None for part in said):
        return None
    whole = ": ".join(part for part in said if part)
    return for_page(whole) if path.startswith(("accounts/sign_in/", "accounts/keeping.py")) else whole


def _constants(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """All that is ever given a name."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _either(node: ast.expr, known: Mapping[str, list[ast.expr]], depth: int = 4) -> Iterator[ast.expr]:
    """What an expression may come to: the sides of `if` and `or`, the values of a name."""
    if isinstance(node, ast.IfExp):
        beneath = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        beneath = node.values
    else:
        beneath = known.get(node.id, []) if isinstance(node, ast.Name) else []
    if not beneath or not depth:
        yield node
    for one in beneath if depth else ():
        yield from _either(one, known, depth - 1)


def _text(path: str, node: ast.expr, known: Mapping[str, list[ast.expr]], depth: int = 4) -> str | None:
    if isinstance(node, ast.Name) and len(values := known.get(node.id, ())) == 1 and depth:
        return _text(path, values[0], known, depth - 1)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "N_":
        return _text(path, node.args[0], known, depth)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_piece(path, part, known, depth) for part in node.values)
    return None


def _piece(path: str, part: ast.expr, known: Mapping[str, list[ast.expr]], depth: int) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    made = ast.unparse(part.value)
    for place, values in _OF_PLACES.items():
        if path.startswith(place) and made in values:
            return values[made]
    if made in VALUES:
        return VALUES[made]
    constant = _text(path, part.value, known, depth) if isinstance(part.value, ast.Name) else None
    return constant if constant is not None else "'7'" if part.conversion == ord("r") else "7"
