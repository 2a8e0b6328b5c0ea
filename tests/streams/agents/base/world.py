"""Calls of one team on several input partitions, counted by one shard; a history that knows them all, each once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.alerts import Alert
from schemas.control.budgets import Budget
from schemas.control.snapshot import ControlSnapshot
from streams.agents.adjustments import Corrections
from streams.agents.config import AgentsConfig
from streams.agents.history import BaseQuestion
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.state_records import read_checkpoints
from streams.agents.totals import USED_MEASURES
from tests.streams.agents.samples import NANO, budget_row, idle, message, table

CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


@dataclass(frozen=True)
class Call:
    """One call: its source position, what it cost, and by which control position it was enriched."""

    partition: int
    offset: int
    at_us: int
    usd: str
    control: int


@dataclass(frozen=True)
class Price:
    """A new price: it stands at `offset` of the adjustments and adds `usd` to a call of partition and offset."""

    offset: int
    call: Call
    usd: str


@dataclass
class World:
    """Calls reach the shard as enrich tells them: counted by the budgets of their position. `crash` drops what was
    not committed.
    """

    budgets: dict[int, Budget]
    inputs: int = 2
    calls: list[Call] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    control: int = 0
    state: dict[str, bytes] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    statuses: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)
    now_us: int = 0
    price_rows: dict[int, pa.Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.next = dict.fromkeys(range(self.inputs), 0)
        self.shard = self._open()

    def _open(self) -> Shard:
        shard = Shard(0, Counts(self.inputs, 1), CONFIG)
        shard.restore(read_checkpoints(self.state))
        shard.budgets.bases.enabled = True
        for told in self.messages[shard.chain.next_offset :]:
            shard.offer(told)
        shard.adjust(self._corrections(shard.adjusted))
        return shard

    def snapshot(self) -> ControlSnapshot:
        return self.snapshot_at(self.control)

    def snapshot_at(self, position: int) -> ControlSnapshot:
        """Of each budget's id the newest document below the position."""
        records: dict[str, Budget] = {}
        offsets: dict[str, int] = {}
        for offset, one in sorted(self.budgets.items()):
            if offset < position:
                records[f"budget/{one.id}"] = one
                offsets[f"budget/{one.id}"] = offset
        return ControlSnapshot(position, records, offsets)

    def call(self, partition: int, at_us: int, usd: str) -> None:
        offset = self.next[partition]
        made = Call(partition, offset, at_us, usd, self.control)
        self.calls.append(made)
        self.next[partition] += 1
        rows = [budget_row(one, at_us, usd) for one in self.snapshot().budgets.values()]
        self._send(
            message(len(self.messages), offset, offset + 1, at_us, rows, partition=partition, control=self.control)
        )

    def lose(self, partition: int, at_us: int, usd: str) -> None:
        """A call whose tally was deleted before the agents read it."""
        self.calls.append(Call(partition, self.next[partition], at_us, usd, self.control))
        self.next[partition] += 1

    def idle(self, partition: int, at_us: int | None) -> None:
        self._send(idle(len(self.messages), self.next[partition], at_us, partition=partition, control=self.control))

    def _send(self, told: Any) -> None:
        self.messages.append(told)
        self.shard.offer(told, accept_hole=True)

    def reprice(self, call: Call, usd: str) -> None:
        """By a command that knows the budgets of now."""
        price = Price(len(self.prices), call, usd)
        self.prices.append(price)
        self.price_rows[price.offset] = table(
            [budget_row(one, call.at_us, usd, calls=0) for one in self.snapshot().budgets.values()]
        )
        self.shard.adjust(self._corrections(self.shard.adjusted))

    def _corrections(self, first: int) -> Corrections:
        tables = [rows for offset, rows in self.price_rows.items() if offset >= first]
        return Corrections(pa.concat_tables([table([]), *tables]), len(self.prices))

    def settle(self, *, commit: bool = True) -> Settlement | None:
        settlement = self.shard.settle(self.now_us, self.snapshot(), force=True)
        if settlement is not None and commit:
            for key, value in settlement.records:
                if value is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = value
            self.alerts += settlement.alerts
            for key, value in settlement.statuses:
                self.statuses[key] = None if value is None else json.loads(value)
        return settlement

    def crash(self) -> None:
        self.shard = self._open()

    def question(self) -> BaseQuestion | None:
        return self.shard.budgets.bases.take_question()

    def answer(self, question: BaseQuestion) -> list[pa.Table]:
        """As the history gives it: each call below the offsets once, with the prices below the adjustments' offset."""
        found = []
        for wanted in question.wanted:
            rows = [
                (call.at_us, 1, call.usd) for call in self.calls if call.offset < question.before.get(call.partition, 0)
            ]
            rows += [(price.call.at_us, 0, price.usd) for price in self.prices if price.offset < question.adjusted]
            rows = [row for row in rows if row[0] // 60_000_000 >= wanted.first_minute]
            columns: dict[str, Any] = {name: pa.array([0] * len(rows), pa.int64()) for name in USED_MEASURES}
            columns["minute"] = pa.array([at_us // 60_000_000 // 15 * 15 for at_us, _, _ in rows], pa.int64())
            columns["calls"] = pa.array([calls for _, calls, _ in rows], pa.int64())
            columns["cost_nanousd"] = pa.array([int(Decimal(usd) * NANO) for _, _, usd in rows], pa.int64())
            found.append(pa.table(columns))
        return found

    def ask_and_answer(self) -> None:
        """One whole round; nothing where nothing is asked."""
        question = self.question()
        if question is not None:
            self.shard.budgets.bases.give(question, self.answer(question))
        self.settle()

    def status(self, budget_id: str) -> dict[str, Any]:
        """Of the newest period."""
        key = max(key for key, status in self.statuses.items() if status and key.startswith(f"{budget_id}|"))
        found: dict[str, Any] = self.statuses[key]
        return found
