"""In: what happens in the demo. Out: how a person sees it: a live screen in a terminal, plain lines without one."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import typer

from streamgauge.cli.output import amount, bar, moment

if TYPE_CHECKING:
    from rich.console import Group

    from schemas.alerts import Alert
    from schemas.status import BudgetStatus
    from streamgauge.demo.watcher import Seen

_LINE_EVERY_S: Final = 5.0
_BUDGETS_SHOWN: Final = 6
_ALERTS_SHOWN: Final = 8


class View(Protocol):
    """Told of every step and, many times a second, of the counts."""

    def step(self, what: str) -> None: ...

    def sent(self, done: int, total: int, seen: Seen) -> None: ...


def counts_line(done: int, total: int, seen: Seen) -> str:
    """One line of figures."""
    when = f"until {moment(seen.newest_event)}" if seen.newest_event else "nothing yet"
    return (
        f"{done:,} of {total:,} sent; {seen.enriched:,} enriched, {seen.duplicates:,} duplicate, "
        f"{seen.rejected:,} rejected ({when}); {amount(seen.cost_nanousd, 'nanousd')}"
    )


def shown_alerts(alerts: tuple[Alert, ...]) -> list[Alert]:
    """What a person is told of: what fires and matters, in the order in which it was raised."""
    return [alert for alert in alerts if alert.state == "firing" and alert.severity != "info"]


class SilentView:
    """For scripts that want the report alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, what: str) -> None: ...

    def sent(self, done: int, total: int, seen: Seen) -> None: ...


class PlainView:
    """Lines on standard output: each step, each alert once, figures every few seconds."""

    def __init__(self) -> None:
        self._said_at = 0.0
        self._alerts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, what: str) -> None:
        typer.echo(f"* {what}")

    def sent(self, done: int, total: int, seen: Seen) -> None:
        alerts = shown_alerts(seen.alerts)
        for alert in alerts[self._alerts :]:
            typer.echo(f"  ALERT {moment(alert.occurred_at)} {alert.severity}: {alert.summary}")
        self._alerts = len(alerts)
        now = time.monotonic()
        if now - self._said_at >= _LINE_EVERY_S:
            self._said_at = now
            typer.echo(f"  {counts_line(done, total, seen)}")
            for status in fullest(seen.budgets)[:3]:
                typer.echo(
                    f"    {bar(status.used_share)} {status.used_share:>5.0%}  {status.budget_id} ({status.state})"
                )


class LiveView:
    """One screen that is drawn again and again: steps, progress, budgets filling, alerts as they fire."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console()
        self._progress = Progress(
            TextColumn("events"), BarColumn(bar_width=40), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
        )
        self._task = self._progress.add_task("events", total=1)
        self._what = ""
        self._seen: Seen | None = None
        self._line = ""
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def step(self, what: str) -> None:
        self._what = what

    def sent(self, done: int, total: int, seen: Seen) -> None:
        self._seen, self._line = seen, counts_line(done, total, seen)
        self._progress.update(self._task, completed=done, total=total)

    def _draw(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(f"streamgauge demo: {self._what} …", style="bold"), self._progress]
        if self._seen is not None:
            parts += [Text(self._line), Text(), self._budgets(self._seen.budgets), self._alerts(self._seen.alerts)]
        return Group(*parts)

    def _budgets(self, budgets: tuple[BudgetStatus, ...]) -> Any:
        from rich.table import Table

        table = Table(box=None, title="budgets", title_justify="left", pad_edge=False)
        for name in ("", "", "", "", ""):
            table.add_column(name)
        colors = {"ok": "green", "warning": "yellow", "soft": "yellow", "hard": "red", "unknown": "dim"}
        for status in fullest(budgets)[:_BUDGETS_SHOWN]:
            used = f"{amount(status.used, status.unit)} of {amount(status.limit, status.unit)}"
            color = colors[status.state]
            table.add_row(
                status.budget_id,
                f"[{color}]{bar(status.used_share, 24)}",
                f"{status.used_share:.0%}",
                used,
                f"[{color}]{status.state}",
            )
        return table

    def _alerts(self, alerts: tuple[Alert, ...]) -> Any:
        from rich.table import Table

        table = Table(box=None, title="\nalerts", title_justify="left", pad_edge=False)
        for name in ("", "", ""):
            table.add_column(name, overflow="fold")
        for alert in shown_alerts(alerts)[-_ALERTS_SHOWN:]:
            color = "red" if alert.severity == "critical" else "yellow"
            table.add_row(moment(alert.occurred_at), f"[{color}]{alert.severity}", alert.summary)
        return table


def fullest(budgets: tuple[BudgetStatus, ...]) -> list[BudgetStatus]:
    return sorted(budgets, key=lambda status: (-status.used_share, status.budget_id))
