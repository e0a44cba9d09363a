"""Finds the references in code and pages: to rules of docs/contract.md, to pages, and to anchors that GitHub makes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\[\]]*\]\(<?([^()\s>]+)>?\)")
# A line break within a sentence, and the comment mark that may begin the next line.
_BREAK = re.compile(r"[ \t]*\n[ \t]*(?:(?:#|//|\*)[ \t]+)?")
_LIST = r"((?:\d+(?:\.\d+)?)(?:(?:, | and | to )\d+(?:\.\d+)?)*)"
_CITED = re.compile(rf"\b[Cc]ontract(?:, | \()sections? {_LIST}(?:, rules? (\d+)(?: and (\d+))?)?")
_BARE = re.compile(rf"\bsections? {_LIST}(?:, rules? (\d+)(?: and (\d+))?)?")
_DECISION = re.compile(r"(?<![\w#-])D(\d{1,2})(?![\w-])")
_PAGE = re.compile(r"\bdocs/[\w/.-]+\.md\b(?:, I(\d+)(?: to I(\d+))?)?")
_FORMER = re.compile(r"\bwire contract\b|\bdesign,? (?:section )?\(?\d|\bthe design \(")


@dataclass(frozen=True)
class Rules:
    """The numbers of the sections, of the rules in a section, and of the decisions in docs/contract.md."""

    sections: frozenset[str]
    rules: frozenset[tuple[str, str]]
    decisions: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """The numbers in the headings of a page, and in the numbered lists below them."""
        sections, rules, decisions, section = set(), set(), set(), ""
        for line in _FENCE.sub("", text).splitlines():
            if found := re.match(r"#{2,3} (\d+(?:\.\d+)?)\.? ", line):
                section = found[1]
                sections.add(section)
            elif found := re.match(r"### D(\d+)$", line):
                decisions.add(found[1])
            elif found := re.match(r"(\d+)\. ", line):
                rules.add((section, found[1]))
        return cls(frozenset(sections), frozenset(rules), frozenset(decisions))

    def unknown(self, text: str, *, is_contract: bool = False) -> list[str]:
        """The citations in a text that have no target. In the contract itself, a bare "section 4" is a citation too."""
        text = _BREAK.sub(" ", text)
        lost = [found[0] for found in _FORMER.finditer(text)]
        for found in (_BARE if is_contract else _CITED).finditer(text):
            named = re.split(r", | and | to ", found[1])
            ruled = [(named[-1], rule) for rule in (found[2], found[3]) if rule]
            if not (self.sections.issuperset(named) and self.rules.issuperset(ruled)):
                lost.append(found[0])
        lost += [found[0] for found in _DECISION.finditer(text) if found[1] not in self.decisions]
        return lost


def missing_pages(text: str, root: Path) -> list[str]:
    """The pages of docs/ that a text names, and that do not exist or lack the named promise (I1, ...)."""
    missing = []
    for found in _PAGE.finditer(_BREAK.sub(" ", text)):
        page = root / found[0].partition(",")[0]
        promised = page.read_text() if page.is_file() else ""
        if not promised or not all(f"| I{number} |" in promised for number in (found[1], found[2]) if number):
            missing.append(found[0])
    return missing


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings by GitHub's rules: lower case, hyphens for spaces, numbers for repeats."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        shown = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading[1])
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        repeats = (f"{slug}-{number}" for number in range(1, len(found) + 2))
        found.add(slug if slug not in found else next(name for name in repeats if name not in found))
    return found


def links(text: str) -> list[str]:
    """The targets of a page's links, without links to other sites."""
    prose = _CODE.sub("`code`", _FENCE.sub("", text))
    return [target for target in _LINK.findall(prose) if not re.match(r"[a-z]+:", target)]


def broken_links(page: Path) -> Iterator[str]:
    """The links of a page whose file, or whose anchor in a page, does not exist."""
    for target in links(page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text()))):
            yield target
