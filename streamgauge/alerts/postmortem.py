"""In: a story. Out: a postmortem as Markdown, as far as figures tell it; what is left to people is an open point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from schemas.control.feedback import AlertFeedback
from streamgauge.alerts.causes import Row, carriers, cause_rows
from streamgauge.alerts.facts import facts, timeline, title
from streamgauge.alerts.figures import impact_text, printable, utc
from streamgauge.alerts.reading import Story


def postmortem(story: Story, feedback: AlertFeedback | None) -> str:
    """Title, summary, impact, timeline, causes, actions, queries."""
    return "\n".join(_lines(story, feedback)) + "\n"


def _lines(story: Story, feedback: AlertFeedback | None) -> Iterator[str]:
    last = story.last
    yield f"# {_inline(title(story))}, {utc(story.first.occurred_at)[:10]}"
    yield from ("", "## Summary", "", _inline(last.summary), "")
    yield from _table(("", ""), facts(story))
    yield from ("", "## Impact", "")
    yield _inline(f"{impact_text(last) or 'Not measured by this alert'}.")
    yield from ("", "## Timeline (UTC)", "")
    steps = [(utc(step.at), step.what, step.text) for step in timeline(story, feedback)]
    yield from _table(("when told", "what", ""), [(utc(story.first.occurred_at), "began", "by event time"), *steps])
    yield from ("", "## Causes", "")
    rows = cause_rows(last)
    if rows:
        yield from _shares("what changed", rows)
    else:
        yield "No cause was told."
    for one in carriers(last):
        yield ""
        yield from _shares(one.dimension, one.rows)
    yield from ("", "## Actions", "")
    if story.action:
        yield f"- [ ] {_inline(story.action)}"
    owner = ", ".join(part for part in (last.owner, last.contact) if part) or "nobody is named as owner: name one"
    yield f"- [ ] Confirm the cause and what prevents it from coming again ({_inline(owner)})"
    if feedback is None:
        yield f"- [ ] Say what it was: `streamgauge alerts ack|expected|noise {story.alert_id}`"
    queries = [link.href for link in last.links if link.rel == "query"]
    if queries:
        yield from ("", "## Queries")
    for text in queries:
        fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
        yield from ("", f"{fence}sql", printable(text), fence)
    others = [link for link in last.links if link.rel != "query"]
    if others:
        yield from ("", "## Links", "")
        yield from (f"- {link.rel}: <{printable(link.href)}>" for link in others)


def _shares(name: str, rows: Sequence[Row]) -> Iterator[str]:
    yield from _table((name, "part", "share"), [(row.what, row.part, row.share) for row in rows], right=2)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> Iterator[str]:
    """`right`: how many of the last columns hold figures."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join(["---"] * (len(head) - right) + ["---:"] * right) + "|"
    yield from ("| " + " | ".join(_inline(cell) for cell in row) + " |" for row in rows)


def _inline(text: str) -> str:
    """Names come from events: nothing in them may end a cell, begin a tag or a code span."""
    plain = printable(text).replace("\n", " ").replace("\\", "\\\\")
    return re.sub(r"([|`*_<>\[\]])", r"\\\1", plain)
