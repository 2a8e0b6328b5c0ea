"""In: what is wrong and where. Out: one line a problem, `FILE:LINE: FIELD: what`, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1; 0: the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct. `field` is the path within the document, empty for the document as a whole."""

    place: Place
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.field + ': ' if self.field else ''}{self.message}"


class ApplyError(ValueError):
    """The files cannot be applied. Nothing was."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        # The problems stand on lines of their own, so that editors can follow FILE:LINE.
        super().__init__("\n".join([f"{count}; nothing was applied:", *map(str, self.problems)]))
