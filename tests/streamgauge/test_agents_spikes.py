"""Single calls in ClickHouse tell the usual incidents apart, and never who is behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from runtime.clock import FixedClock
from schemas.alerts import Alert, Incident
from schemas.control.snapshot import ControlSnapshot
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.investigation.spikes import SpikeCalls
from sinks.migrate import migrate
from streamgauge.agents_spikes import spike_detail
from streams.agents.investigation.detail import SpikeQuestion
from streams.agents.spikes.explain.detail_facts import facts_of
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.finding import Finding, Series, Usage
from streams.agents.spikes.texts import spike_alert
from tests.support.blocks import NOON_US, enriched_table

LOG: Final = "cluster/topic"
LENGTH: Final = 900_000_000
WEEK: Final = 7 * 86_400_000_000
NOW: Final = (NOON_US, NOON_US + LENGTH)
BEFORE: Final = (NOON_US - WEEK, NOON_US - WEEK + LENGTH)
#: What an uncached input token costs, nano-USD.
PRICE: Final = 3000
USUAL_CALLS: Final = 300


@dataclass
class Calls:
    """Rows as columns, one list each."""

    at: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, start_us: int, count: int, **given: Any) -> None:
        """`count` calls spread over the span; a value, or a function of the call's number."""
        drawn = np.random.default_rng(count + start_us % 1000)
        chosen: dict[str, Any] = {
            "user_hash": lambda number: f"h{number % 14}",
            "session_id": lambda number: f"{start_us}-{number // 4}",
            "prompt_hash": lambda number: f"{start_us}-{number}-{count}",
            "credential_id": "search-key",
            "source": "gateway",
            "client_name": "sdk",
            "client_version": "1",
            "use_case": lambda number: "triage" if number % 2 else "answers",
            "workflow": lambda number: "nightly" if number % 2 else "daily",
            "workflow_version": "v1",
            "stage": "production",
            "status": "ok",
            "attempt": 1,
            "retry_of": None,
            "prompt_template": "short@1",
            "application": "desk",
            "input_tokens": lambda _: int(drawn.integers(2000, 4000)),
            "output_tokens": 200,
        } | given
        for number in range(count):
            self.at.append(start_us + number * LENGTH // count)
            for name, value in chosen.items():
                self.columns.setdefault(name, []).append(value(number) if callable(value) else value)

    def usage(self, span: tuple[int, int]) -> Usage:
        own = [place for place, at in enumerate(self.at) if span[0] <= at < span[1]]
        inputs = float(sum(self.columns["input_tokens"][place] for place in own))
        outputs = float(sum(self.columns["output_tokens"][place] for place in own))
        errors = float(sum(self.columns["status"][place] == "error" for place in own))
        cost = PRICE * (inputs + 5 * outputs)
        return Usage(len(own), errors, inputs, 0.0, outputs, cost, {"standard": (inputs + outputs, cost)})


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("spikes")
    with Database.open(ClickHouseTarget(chdb_path=folder, database="spikes"), create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=False)
        yield opened


def told(database: Database, incident: Callable[[Calls], None]) -> Alert:
    """What is told of the usual calls of 14 people with an incident in them."""
    database.command("TRUNCATE TABLE usage_events_raw")
    calls = Calls()
    calls.add(BEFORE[0], USUAL_CALLS)
    calls.add(NOW[0], USUAL_CALLS)
    incident(calls)
    count = len(calls.at)
    cost = [
        PRICE * (was + 5 * out)
        for was, out in zip(calls.columns["input_tokens"], calls.columns["output_tokens"], strict=True)
    ]
    columns: dict[str, Any] = {**calls.columns, "team_id": "search", "cost_nanousd": cost, "occurred_at": calls.at}
    table = enriched_table(count, **columns)
    database.insert("usage_events_raw", table.append_column("log", pa.array([LOG] * count)))
    before, after = calls.usage(BEFORE), calls.usage(NOW)
    question = SpikeQuestion(0, "spike-1", "search", None, NOW, (BEFORE,), round(before.cost), {0: count})
    facts = facts_of(question, spike_detail(SpikeCalls(database, LOG), question))
    finding = Finding(
        Series("search"), "cost", "explained", NOW[0], *NOW, before, after, {}, 4 * (after.cost - before.cost), "high",
        False, 1,
    )  # fmt: skip
    alert = spike_alert(finding, ControlSnapshot(), NOW[1], Known("found", facts))
    assert alert.uncarried_share is not None
    first = [cause for cause in alert.carried_by if cause.dimension == alert.carried_by[0].dimension]
    assert sum(cause.share for cause in first) + alert.uncarried_share == pytest.approx(1)
    for hidden in ("h3", f"{NOW[0]}-", "same-prompt"):
        assert hidden not in alert.model_dump_json(exclude={"links"})
    for link in alert.links:
        assert database.query(link.href)
    return alert


def loop(calls: Calls) -> None:
    calls.add(NOW[0], 2000, user_hash="h3", session_id="endless", use_case="triage", workflow="nightly")


def same_prompt(calls: Calls) -> None:
    calls.add(NOW[0], 2000, user_hash=None, prompt_hash="same-prompt", credential_id="job", workflow="nightly")


def leaked(calls: Calls) -> None:
    calls.add(NOW[0], 2000, user_hash=None, client_name="curl", source=lambda number: f"unknown-{number % 7}")


def renamed(calls: Calls) -> None:
    """A service whose replicas have other names since a deploy, and which loops since."""
    usual = [place for place, at in enumerate(calls.at) if at >= NOW[0]]
    for place in usual:
        calls.columns["source"][place] = f"pod-{place % 3}"
    calls.add(NOW[0], 2000, user_hash=None, client_version="2", source=lambda number: f"pod-{number % 3}")


def load_test(calls: Calls) -> None:
    calls.add(NOW[0], 2000, stage="exploratory", user_hash=None, credential_id="tests", application="load")


def few_prompts(calls: Calls) -> None:
    calls.add(NOW[0], 9000, prompt_hash=lambda number: f"p{number % 90}", user_hash=None)


def retries(calls: Calls) -> None:
    calls.add(NOW[0], 600, attempt=3, retry_of=lambda number: f"e{number}")


def resent(calls: Calls) -> None:
    for number in range(40):
        calls.add(NOW[0], 25, session_id=f"talk-{number}", input_tokens=lambda turn: 2000 * (turn + 1))


def bloat(calls: Calls) -> None:
    calls.add(NOW[0], 300, input_tokens=30_000, workflow="nightly", workflow_version="v2", prompt_template="all@9")


def launch(calls: Calls) -> None:
    calls.add(NOW[0], 900)


CASES: list[tuple[Callable[[Calls], None], Incident, str]] = [
    (
        loop,
        "runaway_loop",
        "one session of 76 carries 100% of it), 100% of it in use case triage, workflow nightly, one of 14 users;",
    ),
    (same_prompt, "runaway_loop", "the same prompt was sent 2,000 times)"),
    (leaked, "shared_credential", "one credential is used from 7 sources not seen with it before)"),
    (renamed, "volume", "more calls of the usual shape"),
    (load_test, "load_test", "of it is exploratory)"),
    (few_prompts, "load_test", "few prompts are sent 24 times each, in many sessions)"),
    (retries, "retry_storm", "67% of calls repeat one that did not succeed)"),
    (resent, "context_resent", "lies in sessions whose input grows call by call)"),
    (bloat, "prompt_bloat", "of it in workflow version nightly@v2"),
    (launch, "volume", ", spread as its use usually is, many of 14 users;"),
]


@pytest.mark.parametrize(("incident", "name", "words"), CASES)
def test_incidents_are_told_apart(
    database: Database, incident: Callable[[Calls], None], name: Incident, words: str
) -> None:
    alert = told(database, incident)
    assert (alert.incident, words in alert.summary) == (name, True), alert.summary


def test_one_of_many_people_is_said_but_not_who(database: Database) -> None:
    alert = told(database, loop)
    assert alert.behind == "one of 14 users"
    (people,) = [link for link in alert.links if "user_hash" in link.href]
    rows = database.query(people.href)
    # The owner, who may, is told: by ClickHouse, not by the alert.
    assert rows[0][0] == "h3"
    assert "who is behind spike-" in people.href


def test_of_fewer_than_five_people_not_even_the_number_is_told(database: Database) -> None:
    def few(calls: Calls) -> None:
        calls.columns["user_hash"] = [f"h{number % 3}" for number in range(len(calls.at))]
        calls.add(NOW[0], 2000, user_hash="h1", use_case="triage")

    alert = told(database, few)
    assert alert.behind == "fewer than 5 users"
    assert (alert.carried_by, alert.uncarried_share) == ((), 1.0)
