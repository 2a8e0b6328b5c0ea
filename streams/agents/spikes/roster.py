"""In: names of teams and pairs as they are seen. Out: the series that are watched: which row is whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from streams.agents.names import Names
from streams.agents.spikes.baseline import TEAM
from streams.agents.spikes.buckets import WIDTH, BucketRows
from streams.agents.spikes.finding import Series
from streams.agents.spikes.pairs import SEPARATOR, Pairs
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.ring import RUNNING, fresh

#: Teams and use cases watched in one tally partition.
SERIES_LIMIT: Final = 1 << 20


class Roster:
    """`names`: texts of series in row order, `TEAM` or `TEAM␟USE_CASE`. `parent`[n]: its team's row, of a team -1."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.names = Names(SERIES_LIMIT)
        self.rows = np.zeros(0, dtype=TEAM)
        self.running = np.zeros(0, dtype=RUNNING)
        self.parent = np.zeros(0, dtype=np.int64)
        #: Rows of the team and of the use case itself, by pair number; -1: none.
        self.team_row = np.zeros(0, dtype=np.int64)
        self.own_row = np.zeros(0, dtype=np.int64)
        self.children: dict[int, list[int]] = {}

    def series(self, row: int) -> Series:
        team, separator, use_case = self.names.texts[row].partition(SEPARATOR)
        return Series(team, use_case if separator else None)

    def add(self, texts: Sequence[str]) -> None:
        """Give each of these series, which have none, a row."""
        first = len(self.rows)
        rows = np.zeros(len(texts), dtype=TEAM)
        rows["first"] = -1
        self.names.extend(texts)
        self.rows = np.concatenate([self.rows, rows])
        self.running = np.concatenate([self.running, fresh(len(texts))])
        self._index(first)

    def note_pairs(self) -> None:
        """Make room for pairs that were first seen since the last call."""
        known = len(self.team_row)
        missing = len(self.pairs) - known
        if missing > 0:
            none = np.full(missing, -1, dtype=np.int64)
            self.team_row = np.concatenate([self.team_row, none])
            self.own_row = np.concatenate([self.own_row, none])
            self._map(np.arange(known, known + missing))

    def ripe(self, rows: np.ndarray | Sequence[int], policy: SpikePolicy) -> np.ndarray:
        """Which of these series have been learnt for long enough."""
        own = self.rows[rows]
        found: np.ndarray = (own["hours"] >= policy.warm_up_hours) & (own["calls"] >= policy.warm_up_calls)
        return found

    def used(self, rows: BucketRows) -> np.ndarray:
        """Sums of one bucket by series, [n, WIDTH]."""
        used = np.zeros((len(self.rows), WIDTH))
        team, own = self.team_row[rows.pair], self.own_row[rows.pair]
        np.add.at(used, team[team >= 0], rows.sums[team >= 0])
        np.add.at(used, own[own >= 0], rows.sums[own >= 0])
        return used

    def take_teams(self, pairs: np.ndarray) -> bool:
        """Give the teams of these pairs a row each, in the order of the pairs; whether any had none."""
        missing = np.unique(pairs[self.team_row[pairs] < 0]).tolist()
        if missing:
            teams = dict.fromkeys(self.pairs.texts[pair].partition(SEPARATOR)[0] for pair in missing)
            self.add([team for team in teams if self.names.find(team) is None])
            self._map(np.flatnonzero(self.team_row < 0))
        return bool(missing)

    def take_pairs(self, pairs: Sequence[int], most: int) -> None:
        """Watch these use cases by themselves, unless their team has its share of rows already."""
        chosen: list[int] = []
        held: dict[int, int] = {}
        for pair in pairs:
            parent = int(self.team_row[pair])
            if self.own_row[pair] < 0 and parent >= 0 and not self.pairs.texts[pair].endswith(SEPARATOR):
                mine = held.setdefault(parent, len(self.children.get(parent, ())))
                if mine < most:
                    held[parent] = mine + 1
                    chosen.append(pair)
        if chosen:
            self.add([self.pairs.texts[pair] for pair in chosen])
            self._map(np.array(chosen))

    def restore(self, rows: np.ndarray, running: np.ndarray) -> None:
        """Go on from stored rows; `names` and `pairs` were restored before."""
        self.rows, self.running = rows, running
        self.parent = np.zeros(0, dtype=np.int64)
        self.children.clear()
        self._index(0)
        self.team_row = self.own_row = np.zeros(0, dtype=np.int64)
        self.note_pairs()

    def _index(self, first: int) -> None:
        """Note whose child each row from `first` on is."""
        parents = []
        for row in range(first, len(self.names)):
            team, separator, _ = self.names.texts[row].partition(SEPARATOR)
            parent = self.names.find(team) if separator else None
            parents.append(-1 if parent is None else parent)
            if parent is not None:
                self.children.setdefault(parent, []).append(row)
        self.parent = np.concatenate([self.parent, np.array(parents, dtype=np.int64)])

    def _map(self, pairs: np.ndarray) -> None:
        for pair in pairs.tolist():
            text = self.pairs.texts[pair]
            team, _, use_case = text.partition(SEPARATOR)
            found, own = self.names.find(team), self.names.find(text) if use_case else None
            self.team_row[pair] = -1 if found is None else found
            self.own_row[pair] = -1 if own is None else own
