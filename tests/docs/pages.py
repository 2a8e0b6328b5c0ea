"""In: the repository. Out: its Markdown pages, their links, code blocks and names in code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Without fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """Fenced blocks of a language."""
        return [body for found, body in _FENCE.findall(self.text) if found == language]

    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    def code(self) -> list[str]:
        """Everything in backticks within the prose."""
        return _CODE.findall(self.prose)

    def anchors(self) -> set[str]:
        """What `#...` may point at: headings, as GitHub writes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

    def __str__(self) -> str:
        return self.name


def pages() -> list[Page]:
    """Every page of the project, in order of name."""
    folders = [
        ROOT,
        *(ROOT / name for name in ("docs", "benchmarks", "examples", "sources", "streams", "sinks", "schemas")),
    ]
    found = {path for folder in folders for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))}
    return [Page(path) for path in sorted(found)]


def page(name: str) -> Page:
    return Page(ROOT / name)
