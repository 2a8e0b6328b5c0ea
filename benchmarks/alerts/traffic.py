"""In: a cast of teams, moments. Out: what they used between two moments, as tables of usage events in event-time order.

*Watched* teams have used the same for days, and some of them run away; *loading* teams make the traffic, and nobody
knows yet what is usual for them. Event time is wall-clock time in µs; draws are seeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.usage import USAGE_COLUMNS

SOURCE: Final = "gateway-eu"
USE_CASES: Final = ("support", "coding", "search", "assistant")
ASSISTANT: Final = USE_CASES.index("assistant")
MODELS: Final = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
)
#: Tokens of one call, medians of lognormal draws: a watched team's assistant costs some 4 cents a call at gpt-4o.
_WATCHED: Final = (10_000, 1_000)
_LOADING: Final = (1_000, 150)


@dataclass(frozen=True, slots=True)
class Rows:
    """Calls as columns: when, whose, for what, by which model, how much. All of one length."""

    at_us: np.ndarray
    team: np.ndarray
    use_case: np.ndarray
    model: np.ndarray
    input: np.ndarray
    output: np.ndarray

    def __len__(self) -> int:
        return len(self.at_us)


@dataclass(frozen=True, slots=True)
class Surge:
    """From `start_us` on a watched team makes `extra` calls a second more than it usually does."""

    team: int
    start_us: int
    extra: float


class Traffic:
    """Teams 0 … `watched` - 1 make `calls_per_s` each; the `loading` teams after them `load_per_s` together."""

    def __init__(self, watched: int, loading: int, calls_per_s: float, load_per_s: float, seed: int = 7) -> None:
        self.watched, self.loading = watched, loading
        self._calls_per_s, self.load_per_s = calls_per_s, load_per_s
        self._random = np.random.default_rng(seed)
        self._teams = pa.array([team_name(number) for number in range(watched + loading)])
        self._users = pa.array([f"user-{number}" for number in range(500)])
        self._sessions = pa.array([f"s{number}" for number in range(10_000)])
        self._use_cases: list[str] = list(USE_CASES)

    def name_use_cases(self, names: Iterable[str]) -> list[int]:
        """Further use cases, for rows made elsewhere; their numbers."""
        first = len(self._use_cases)
        self._use_cases += names
        return list(range(first, len(self._use_cases)))

    def usual(self, from_us: int, until_us: int) -> Rows:
        """What the watched teams always do."""
        teams = np.repeat(np.arange(self.watched), self._count(self._calls_per_s, from_us, until_us, self.watched))
        return self._watched_rows(teams, self._times(len(teams), from_us, until_us))

    def surges(self, surges: Sequence[Surge], from_us: int, until_us: int) -> Rows:
        """What runs away, on top of the usual."""
        teams, times = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for one in surges:
            begin = max(from_us, one.start_us)
            if begin < until_us:
                count = int(self._count(one.extra, begin, until_us, 1)[0])
                teams.append(np.full(count, one.team))
                times.append(self._times(count, begin, until_us))
        return self._watched_rows(np.concatenate(teams), np.concatenate(times))

    def load(self, from_us: int, until_us: int, rows: int) -> Rows:
        """`rows` calls of the loading teams."""
        random = self._random
        return Rows(
            self._times(rows, from_us, until_us),
            self.watched + random.integers(0, self.loading, rows),
            random.integers(0, ASSISTANT, rows),
            random.integers(0, len(MODELS), rows),
            self._tokens(_LOADING[0], rows),
            self._tokens(_LOADING[1], rows),
        )

    def table(self, parts: Sequence[Rows]) -> pa.Table:
        """Events of all parts, in event-time order, each with an id of its own."""
        at_us = np.concatenate([part.at_us for part in parts])
        order = np.argsort(at_us, kind="stable")
        team, use_case, model, inputs, outputs = (
            np.concatenate([getattr(part, name) for part in parts])[order]
            for name in ("team", "use_case", "model", "input", "output")
        )
        count, random = len(order), self._random
        none = pa.array(np.zeros(count, np.int64))
        given = {
            "event_id": _ids(random, count),
            "source": _same(SOURCE, count),
            "occurred_at": pa.array(at_us[order]).cast(USAGE_COLUMNS.field("occurred_at").type),
            "team_id": self._teams.take(pa.array(team)),
            "user_id": self._users.take(pa.array(random.integers(0, len(self._users), count))),
            "use_case": pa.array(self._use_cases).take(pa.array(use_case)),
            "stage": _same("production", count),
            "provider": pa.array([one[0] for one in MODELS]).take(pa.array(model)),
            "model": pa.array([one[1] for one in MODELS]).take(pa.array(model)),
            "operation": _same("chat", count),
            "gateway_cache_hit": pa.array(np.zeros(count, bool)),
            "input_tokens": pa.array(inputs),
            "cache_read_tokens": pa.array(inputs // 3),
            "cache_write_tokens": none,
            "cache_write_1h_tokens": none,
            "output_tokens": pa.array(outputs),
            "reasoning_tokens": none,
            "meters": pa.array([[]] * count, USAGE_COLUMNS.field("meters").type),
            "latency_ms": pa.array(random.integers(200, 20_000, count)),
            "status": _same("ok", count),
            "attempt": pa.array(np.ones(count, np.int64)),
            "session_id": self._sessions.take(pa.array(random.integers(0, len(self._sessions), count))),
            "tags": pa.array([[]] * count, USAGE_COLUMNS.field("tags").type),
        }
        return pa.Table.from_arrays(
            [given[field.name] if field.name in given else pa.nulls(count, field.type) for field in USAGE_COLUMNS],
            schema=USAGE_COLUMNS,
        )

    def _watched_rows(self, teams: np.ndarray, at_us: np.ndarray) -> Rows:
        count = len(teams)
        return Rows(
            at_us,
            teams,
            np.full(count, ASSISTANT),
            np.zeros(count, np.int64),
            self._tokens(_WATCHED[0], count),
            self._tokens(_WATCHED[1], count),
        )

    def _count(self, per_s: float, from_us: int, until_us: int, size: int) -> np.ndarray:
        return self._random.poisson(per_s * (until_us - from_us) / 1e6, size)

    def _times(self, count: int, from_us: int, until_us: int) -> np.ndarray:
        return self._random.integers(from_us, until_us, count)

    def _tokens(self, median: int, count: int) -> np.ndarray:
        return (median * self._random.lognormal(0, 0.4, count)).astype(np.int64) + 1


def team_name(number: int) -> str:
    return f"team-{number:03}"


def _ids(random: np.random.Generator, count: int) -> pa.Array:
    """Random ids of 32 hexadecimal digits."""
    offsets = np.arange(count + 1, dtype=np.int32) * 32
    text = random.bytes(16 * count).hex().encode()
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def _same(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)
