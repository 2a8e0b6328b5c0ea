"""From events to alerts: what the agents count of enrich's tallies is what stands on the rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from schemas.control.policies import VIOLATIONS, Choice, Policy, When
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from schemas.positions import Mark, SourceRange
from schemas.prices.card import Provisional
from schemas.status import GovernanceStatus
from schemas.tallies import FACETS
from streams.agents.config import AgentsConfig
from streams.agents.memory_store import MemoryStateStore, MemoryTopics
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.tally_message import TallyMessage
from streams.enrich.pipeline import Pipeline
from streams.enrich.rules import RulesCompiler
from tests.streams.agents.samples import control
from tests.support.enrich import CONFIG, NOON_US, avro_value, event, fresh_states, source_batch

DOCUMENTS = control(
    Policy(id="no-o3", when=When(team=("search",)), forbid=Choice(models=("o3*",)), owner="Grace", reason="dear"),
    Policy(
        id="logged", when=When(use_case=("triage",)), required_fields=("workflow",), owner="Grace", reason="to be found"
    ),
    UseCase(id="triage", owner="Linus", data_class="internal"),
)


def enriched(documents: ControlSnapshot) -> tuple[list[dict[str, Any]], list[TallyMessage]]:
    """Rows and tallies (one tally partition) of some batches of one input partition."""
    pipeline = Pipeline(CONFIG, "usage.events", 1, None)
    rules, states = RulesCompiler(Provisional()).compile(documents), fresh_states()
    rows: list[dict[str, Any]] = []
    messages: list[TallyMessage] = []
    for number in range(4):
        first = number * 50
        events = [
            event(
                at,
                occurred_at=NOON_US + at * 60_000_000,
                team_id=("search", "risk", None)[at % 3],
                model=("gpt-5", "o3", "o3-mini", "homemade")[at % 4],
                use_case=("triage", "poems", None)[at // 7 % 3],
                workflow=(None, "nightly")[at % 2],
                data_class=("internal", "secret", None, None)[at // 5 % 4],
            )
            for at in range(first, first + 50)
        ]
        batch = source_batch([avro_value(one) for one in events], first=first, append_us=NOON_US + 30_000_000_000)
        result = pipeline.run(batch, rules, states)
        (partition,) = result.partitions
        states[0].window.add(partition.fingerprints)
        rows += partition.block.to_pylist()
        table = pa.Table.from_batches([result.tallies[0, 0]])
        newest = NOON_US + (first + 49) * 60_000_000
        mark = Mark("range", newest, newest, newest, documents.position)
        messages.append(TallyMessage(number, SourceRange(0, first, first + 50), mark, table))
    return rows, messages


def test_agents_count_what_stands_on_the_rows() -> None:
    rows, messages = enriched(DOCUMENTS)
    shard = Shard(0, Counts(1, 1), AgentsConfig(spikes=SpikePolicy(enabled=False)))
    topics = MemoryTopics()
    store = MemoryStateStore(topics)
    store.open()
    for message in messages:
        assert shard.offer(message) == "applied"
        settlement = shard.settle(NOON_US, DOCUMENTS, force=True)
        assert settlement is not None
        store.commit(settlement)

    status = GovernanceStatus.model_validate_json(topics.statuses["(governance)|2026-03-01T00:00:00+00:00"])
    expected = {
        "all": len(rows),
        "governed": sum(row["policy_verdict"] is not None for row in rows),
        "unattributed": sum(row["attribution"] == "unattributed" for row in rows),
        "unpriced": sum(row["cost_nanousd"] is None for row in rows),
        "violations": sum(row["policy_verdict"] in VIOLATIONS for row in rows),
        "unregistered": sum(row["use_case"] == "poems" for row in rows),
        "high_risk_approved": 0,
    }
    assert status.calls == expected
    assert set(expected) == set(FACETS)
    assert all(expected[facet] for facet in FACETS[:-1])
    assert status.cost_nanousd["all"] == sum((row["cost_nanousd"] or 0) + row["provisional_nanousd"] for row in rows)
    assert status.governed_share == expected["governed"] / len(rows)

    broken = Counter(
        (row["policy_rule"], row["policy_verdict"], row["team_id"], row["use_case"] or "")
        for row in rows
        if row["policy_verdict"] in VIOLATIONS
    )
    asked = Counter(
        (row["policy_rule"], "unclear", "", row["data_class" if row["policy_rule"] == "(data_class)" else "use_case"])
        for row in rows
        if row["policy_verdict"] == "unclear"
    )
    assert {tuple(key): episode.calls for key, episode in shard.policy.episodes.items()} == broken | asked
    firing = [alert for alert in topics.alerts if alert.state == "firing" and alert.kind == "policy"]
    assert len({alert.alert_id for alert in firing}) == len(firing) == len(broken) + len(asked)
    assert {alert.policy_rule for alert in firing} == {"no-o3", "logged", "(use_case)", "(data_class)"}
    # Cells and policy rows are apart: no call counts twice for its team.
    teams = Counter(row["team_id"] for row in rows)
    for team, calls in teams.items():
        kept = shard.team_totals(team) or []
        assert sum(window.sums[0] for window in kept if window.resolution == "hour") == calls
