"""In: records and statuses. Out: what a check knows, and a server that answers from it on a thread, without Kafka."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock, to_datetime
from runtime.metrics import CheckMetrics
from schemas.alerts import AlertScope
from schemas.control.base import moment_us
from schemas.control.budgets import LEVELS, Budget, Mode, Scope
from schemas.control.periods import running_period
from schemas.control.records import ControlRecord, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.status import Acknowledged, AsOf, BudgetState, BudgetStatus, StatusPeriod, status_key
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import Known
from streamgauge.checking.rulebook import compile_rulebook
from streamgauge.checking.server import CheckServer
from streamgauge.checking.statuses import Statuses

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_US: Final = moment_us(NOW)
KEY: Final = b"a key for tests, 16+"


def snapshot_of(*records: ControlRecord) -> ControlSnapshot:
    return ControlSnapshot(len(records), {record_key(one): one for one in records})


def monthly(name: str, scope: Scope | None = None, mode: Mode = "enforce", limit: int = 100) -> Budget:
    """A budget in dollars: warning at 80 %, soft at 100 %, hard at 120 % of the limit."""
    return Budget(
        id=name, scope=scope or Scope(), limit=Decimal(limit), period="month", mode=mode, owner="Ada", contact="#ada"
    )


def status_of(
    budget: Budget,
    used_usd: Decimal | int,
    *,
    at: datetime = NOW,
    state: BudgetState | None = None,
    reason: str | None = None,
    acknowledged: Literal["soft", "hard"] | None = None,
) -> BudgetStatus:
    """As the agents write it, at an instant."""
    period = running_period(budget, moment_us(at))
    used = int(Decimal(used_usd) * 1_000_000_000)
    levels = {level: budget.level_units(level) for level in LEVELS}
    reached: BudgetState = "ok"
    for level in LEVELS:
        if used >= levels[level]:
            reached = level
    return BudgetStatus(
        budget_id=budget.id,
        rule=budget.rule,
        scope=AlertScope(),
        period=StatusPeriod(
            kind=budget.period, start=to_datetime(period.start_us), end=to_datetime(period.end_us), time_zone="UTC"
        ),
        unit="nanousd",
        used=used,
        provisional=0,
        limit=budget.limit_units,
        used_share=used / budget.limit_units,
        calls=1,
        state=state or reached,
        state_reason=reason,
        mode=budget.mode,
        would_stop=used >= levels["hard"],
        levels=levels,
        acknowledged=None if acknowledged is None else Acknowledged(level=acknowledged, by="ada", at=at),
        as_of=AsOf(watermark=at, offsets={0: 7}),
        evaluated_at=at,
    )


def record_of(status: BudgetStatus) -> tuple[bytes, bytes]:
    key = status_key(status.budget_id, status.period.start)
    return key.encode(), status.model_dump_json().encode()


def known_of(
    records: Sequence[ControlRecord],
    statuses: Sequence[BudgetStatus] = (),
    *,
    behind_s: float | None = 0.2,
    key: bytes | None = KEY,
    personal: bool = True,
) -> Known:
    held = Statuses()
    for status in statuses:
        held.take(*record_of(status))
    return Known(compile_rulebook(snapshot_of(*records), key), held, behind_s, personal)


@dataclass
class Served:
    """A running server; `known` may be replaced while it runs."""

    url: str
    known: Known
    clock: FixedClock
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def ask(
        self, path: str = "/check", headers: Mapping[str, str] | None = None, body: object = None, method: str = "GET"
    ) -> tuple[int, Mapping[str, str], Any]:
        """(code, headers, JSON) of one request; `body` is posted as JSON."""
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        method = "POST" if data is not None else method
        request = urllib.request.Request(self.url + path, data, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, dict(refused.headers), json.load(refused)


@contextmanager
def serving(known: Known, config: CheckConfig | None = None) -> Iterator[Served]:
    """The server itself, on a free port and a thread of its own."""
    loop, up, clock = asyncio.new_event_loop(), threading.Event(), FixedClock(NOW_US)
    served = Served("", known, clock)
    http = CheckServer(lambda: served.known, config or CheckConfig(), clock, CheckMetrics(served.registry)).http()

    async def begin() -> None:
        served.url = f"http://127.0.0.1:{await http.listen('127.0.0.1', 0)}"
        up.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()
        loop.run_until_complete(http.close())
        loop.close()

    thread = threading.Thread(target=run, name="check under test", daemon=True)
    thread.start()
    assert up.wait(15)
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(15)
        assert not thread.is_alive()
