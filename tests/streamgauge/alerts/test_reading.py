"""Stories from states, amounts in words, and one alert by the beginning of its id."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Link
from schemas.control.feedback import AlertFeedback
from streamgauge.alerts.causes import carriers, cause_rows
from streamgauge.alerts.figures import impact_text, lasting, money, printable
from streamgauge.alerts.lines import followed, listed
from streamgauge.alerts.postmortem import postmortem
from streamgauge.alerts.precision import measure
from streamgauge.alerts.reading import UnknownAlert, find, fold, short
from streamgauge.alerts.story_text import story_lines
from tests.streamgauge.alerts.samples import NOON, of_kind, resolved, spike


@pytest.mark.parametrize(
    ("nanousd", "words"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (4_200_000, "$0.0042"),
        (4_249_999, "$0.0042"),
        (9_999_999, "$0.01"),
        (10_000_000, "$0.01"),
        (1_995_000_000, "$2.00"),
        (-1_234_567_890_000, "-$1,234.57"),
    ],
)
def test_money_is_never_rounded_to_nothing(nanousd: int, words: str) -> None:
    assert money(nanousd) == words


@given(st.integers(-(10**18), 10**18))
def test_money_is_what_it_says(nanousd: int) -> None:
    said = float(money(nanousd).replace("$", "").replace(",", ""))
    assert (said == 0) == (nanousd == 0)
    assert abs(said - nanousd / 1e9) <= max(0.00501, abs(nanousd) / 1e9 * 1e-12)


def test_spans_in_words() -> None:
    spans = [timedelta(minutes=-5), timedelta(minutes=59), timedelta(minutes=125), timedelta(hours=76)]
    assert [lasting(span) for span in spans] == ["0 min", "59 min", "2 h 05 min", "3 d 4 h"]


def test_a_story_has_each_state_once_whatever_is_told_again() -> None:
    states = [spike(), spike(1, 1), resolved(1, 2)]
    [story] = fold([states[1], *states, *states]).values()
    assert story.states == tuple(states)
    assert not story.is_open
    assert story.action == "Stop the workflow.", "the end suggests nothing"


def test_one_is_found_by_the_beginning_of_its_id() -> None:
    stories = fold([spike(1), spike(2), of_kind("budget")])
    one = spike(1).alert_id
    assert find(one, stories).alert_id == one
    assert find(short(one), stories).alert_id == one
    assert find("budget", stories).alert_id.startswith("budget-")
    with pytest.raises(UnknownAlert, match=r"2 alerts begin with 'spike-': .*; give more of the id"):
        find("spike-", stories)
    mistyped = one[:10] + ("0" if one[10] != "0" else "1")
    with pytest.raises(UnknownAlert, match=rf"there is no alert '{mistyped}'; the nearest are {one}, "):
        find(mistyped, stories)
    with pytest.raises(UnknownAlert, match="none was raised"):
        find("spike-1", {})


def test_causes_and_carriers_end_with_the_rest() -> None:
    assert [(row.what, row.part, row.share) for row in cause_rows(spike())] == [
        ("more calls (x3.5)", "+$9.00", "90%"),
        ("fewer cache hits", "+$0.0042", "0.4%"),
        ("not explained", "", "10%"),
    ]
    tables = carriers(spike())
    assert [(one.dimension, [row.share for row in one.rows]) for one in tables] == [
        ("workflow", ["80%", "20%"]),
        ("model", ["100%"]),
    ]


def test_lists_fit_and_say_how_it_stands() -> None:
    [story] = fold([spike(), spike(1, 1, said="acknowledged", summary="very " * 60 + "long")]).values()
    lines = list(listed(story, 100))
    assert max(len(line) for line in lines) <= 100 + len("\x1b[31m\x1b[1m\x1b[0m" * 2)
    text = "\n".join(lines)
    for part in (
        "△",
        "search / answers",
        "since 2026-11-20 12:00",
        "$20.00 extra so far",
        "runaway loop",
        "acknowledged",
    ):
        assert part in text
    over = "\n".join(followed(resolved(), 100))
    assert "✓" in over
    assert "$20.00 extra in all" in over


def test_what_the_summary_says_is_not_said_twice() -> None:
    summary = "It looks like a runaway loop, one of 14 users; $10.00 extra so far, $890.00 a day if it goes on."
    again = Link(rel="query", href="SELECT 1")
    [story] = fold([spike(summary=summary, links=(*spike().links, again))]).values()
    for lines in (listed(story, 200), followed(story.last, 200)):
        assert [line.strip() for line in lines][1:] == [summary]
    text = "\n".join(story_lines(story, None, 200))
    assert text.count("$10.00 extra so far") == 3, "summary, impact, timeline"
    assert (text.count("To see more"), text.count("SELECT")) == (1, 2)


def test_what_could_steer_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc"
    [story] = fold([spike(summary="evil \x1b[2J name")]).values()
    assert "\x1b[2J" not in "\n".join([*story_lines(story, None, 100), postmortem(story, None)])


FEEDBACK = AlertFeedback(
    id=spike().alert_id, said="acknowledged", by="ada", at=NOON + timedelta(minutes=2), note="on it"
)


def test_a_story_on_a_terminal_has_all_of_it() -> None:
    [story] = fold([spike(), spike(1, 1), resolved(1, 2)]).values()
    text = "\n".join(story_lines(story, FEEDBACK, 100))
    assert text.startswith("Runaway loop: search / answers\n")
    for part in (
        "over (resolved, revision 2)",
        "2026-11-20 12:00:00 UTC",
        "noticed          2026-11-20 12:00:40 UTC, 1 min later",
        "90%    +$9.00  more calls (x3.5)",
        " 0.4%  +$0.0042  fewer cache hits",
        "not explained",
        "Carried by workflow",
        "2026-11-20 12:02:00  acknowledged  by ada: on it",
        "one of 14 users",
        "  SELECT workflow, sum(cost_usd)\n  FROM usage_events",
    ):
        assert part in text, part
    assert text.index("by ada") < text.index("revision 1."), "in order of time"


def test_a_postmortem_is_markdown() -> None:
    [story] = fold([spike(), resolved(1, 1)]).values()
    text = postmortem(story, FEEDBACK)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Runaway loop: search / answers, 2026-11-20",
        "## Summary",
        "## Impact",
        "## Timeline (UTC)",
        "## Causes",
        "## Actions",
        "## Queries",
    ]
    assert "| nightly \\| v2 | +$8.00 | 80% |" in text, "a name does not end its cell"
    assert "```sql\nSELECT workflow, sum(cost_usd)\nFROM usage_events GROUP BY workflow\n```" in text
    assert "$20.00 extra in all." in text
    assert "alerts ack|expected|noise" not in text, "somebody has said something"
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (3, 4) for line in tables)


def test_impact_of_what_tells_none() -> None:
    assert impact_text(of_kind("budget", impact=None)) is None


def test_precision_counts_each_alert_once_by_the_newest_word() -> None:
    stories = fold(
        [
            spike(1),
            spike(1, 1, said="acknowledged"),
            spike(2, said="acknowledged"),
            spike(3),
            spike(4),
            spike(5, historical=True),
            of_kind("budget"),
        ]
    )
    words = {
        one.alert_id: AlertFeedback(id=one.alert_id, said="noise", by="a", at=NOON) for one in (spike(2), spike(3))
    }
    [budget, spikes] = measure(stories.values(), words, ("kind",))
    assert (budget.key, budget.told, budget.unanswered, budget.share) == (("budget",), 1, 1, None)
    assert (spikes.told, spikes.acknowledged, spikes.noise, spikes.unanswered) == (4, 1, 2, 1)
    assert spikes.share == pytest.approx(1 / 3)
    [whole] = measure(stories.values(), words, ("incident", "team", "week"))[1:]
    assert whole.key == ("runaway_loop", "search", "2026-11-16")
    assert measure(stories.values(), words, ("kind",), date(2026, 11, 21)) == []
