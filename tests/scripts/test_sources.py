"""What comments refer to is explained in docs/sources.md: every section, trap, rule and heading that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
HEADINGS = ("Command line", "Settings", "Keys", "HTTP", "Usage", "Our errors", "Simulator")


def references(name: str, form: str) -> Iterator[tuple[str, str]]:
    """Each place in the package's source that names the note, and what it says right behind its name."""
    for file in sorted((ROOT / "kirotrio").rglob("*.py")):
        # A reference may be broken across lines of a comment.
        source = re.sub(r"\s*\n[ #]*", " ", file.read_text(encoding="utf-8"))
        yield from ((f"{file.relative_to(ROOT)}: {found[0]}", found[1]) for found in re.finditer(name + form, source))


def listed(heading: str) -> set[str]:
    part = DOCUMENT.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    return set(re.findall(r"(?m)^(?:\| )?(\d[\d.]*?)(?: \||\. )", part))


def numbers(said: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", said)


def test_every_section_of_the_protocol_that_is_named_is_explained() -> None:
    sections, named = listed("KIRO_PROTOCOL"), 0
    for place, said in references("KIRO_PROTOCOL", r" (\d[\d.]*(?:(?:,| to| and|-| or) ?\d[\d.]*)*)"):
        named += 1
        assert set(numbers(said)) <= sections, place
    assert named > 100


def test_every_trap_of_the_protocol_that_is_named_is_one_of_those_there_are() -> None:
    last = int((re.search(r"\| 11 \| traps 1 to (\d+)", DOCUMENT) or [""] * 2)[1])
    for place, said in references("KIRO_PROTOCOL", r"[^)`]{0,20}?\btraps? ([\d, ]+)"):
        assert all(1 <= int(number) <= last for number in numbers(said)), place


def test_every_trap_of_the_stack_that_is_named_is_explained() -> None:
    traps = listed("TRIO_STACK")
    assert {said for _, said in references("TRIO_STACK", r", trap (\d+)")} <= traps
    tested = (ROOT / "tests" / "web" / "test_traps.py").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^# Trap (\d+)", tested)) == traps


def test_every_rule_of_the_architecture_that_is_named_is_explained() -> None:
    named = {said for _, said in references("ARCHITECTURE", r",? rule (\d+)")}
    assert named
    assert named <= listed("ARCHITECTURE")


def test_every_heading_of_the_contract_that_is_named_is_explained() -> None:
    part = DOCUMENT.partition("\n## CONTRACT")[2].partition("\n## ")[0]
    assert all(f"*{heading}*" in part for heading in HEADINGS)
    named = {said.strip('"') for _, said in references("CONTRACT", r'(?:, | \()("?[A-Z][a-z]+(?: [a-z]+)?"?)(?=[);])')}
    assert named
    assert named <= set(HEADINGS)


def test_no_other_note_is_named() -> None:
    known = {"KIRO_PROTOCOL", "TRIO_STACK", "CONTRACT", "ARCHITECTURE", "USER_DEMANDS"}
    assert all(name in DOCUMENT for name in known)
    assert not list(references(r"\b(STYLE|CLIENTS)", r"\.md"))
