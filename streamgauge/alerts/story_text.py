"""In: a story. Out: all of it as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from schemas.control.feedback import AlertFeedback
from streamgauge.alerts.causes import Row, carriers, cause_rows
from streamgauge.alerts.facts import facts, timeline, title
from streamgauge.alerts.figures import printable, utc
from streamgauge.alerts.reading import Story


def story_lines(story: Story, feedback: AlertFeedback | None, width: int) -> Iterator[str]:
    """Summary, facts, causes, carriers, what to do, the timeline and the queries; a query is never broken."""
    last = story.last
    yield printable(title(story))
    yield from _wrapped(last.summary, width, "  ")
    yield ""
    for name, value in facts(story):
        yield from _wrapped(value, width, f"  {name:<17}")
    causes = cause_rows(last)
    if causes:
        yield ""
        yield "What changed"
        yield from _table(causes, width)
    for one in carriers(last):
        yield ""
        yield f"Carried by {one.dimension}"
        yield from _table(one.rows, width)
    if story.action:
        yield ""
        yield "What to do"
        yield from _wrapped(story.action, width, "  ")
    yield ""
    yield "What was told (UTC)"
    for step in timeline(story, feedback):
        yield from _wrapped(step.text, width, f"  {utc(step.at)}  {step.what:<12}  ")
    shown: set[str] = set()
    for link in last.links:
        yield ""
        if link.rel not in shown:
            yield {"query": "To see more", "dashboard": "Dashboard", "runbook": "Runbook"}[link.rel]
        shown.add(link.rel)
        yield from (f"  {line}" for line in printable(link.href).splitlines())


def _table(rows: Sequence[Row], width: int) -> Iterator[str]:
    part = max(len(row.part) for row in rows)
    for row in rows:
        yield from _wrapped(row.what, width, f"  {row.share:>5}  {row.part:>{part}}  ")


def _wrapped(text: str, width: int, head: str) -> list[str]:
    """`head` before the first line, as many blanks before the others."""
    return textwrap.wrap(
        printable(text).replace("\n", " "),
        max(width, len(head) + 30),
        initial_indent=head,
        subsequent_indent=" " * len(head),
    ) or [head.rstrip()]
