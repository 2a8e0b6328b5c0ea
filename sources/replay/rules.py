"""In: what a trace knows of calls, and the rules of a replay. Out: whole usage events, the same in every replay by
the same rules.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa

from schemas.control.base import moment_us
from schemas.usage import TIMESTAMP
from sources.replay.chunk import Calls, usage_table
from sources.replay.config import DEFAULT_MODEL, DEFAULT_PROVIDER, DEFAULT_TEAMS, ReplayConfig


class Rules:
    """Gives calls to teams: each call on its own, by weights 1, 1/2, 1/3 … in the order of the teams, seeded.

    Event ids are made of the file's content, these rules and the row number: a repeat is recognised and counted once,
    while a replay by other rules (another model, other teams) is other events.
    """

    def __init__(self, config: ReplayConfig, digest: str) -> None:
        self.teams = config.teams or DEFAULT_TEAMS
        self.model = config.model or DEFAULT_MODEL
        # The default provider goes with the default model; another model is matched by its name alone.
        self.provider = config.provider or (DEFAULT_PROVIDER if config.model is None else None)
        self.source = f"replay-{config.format}"
        said = [config.format, digest, self.teams, self.model, self.provider, config.seed, moment_us(config.start)]
        self._id = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]
        weights = 1.0 / np.arange(1, len(self.teams) + 1)
        self._edges = np.cumsum(weights / weights.sum())[:-1]
        self._random = np.random.Generator(np.random.PCG64(config.seed))

    def table(self, calls: Calls) -> pa.Table:
        """USAGE_COLUMNS of the calls. Call once per chunk, in file order: the random sequence follows the rows."""
        rows = len(calls.occurred_at_us)
        team = np.searchsorted(self._edges, self._random.random(rows), side="right")
        columns = {
            "event_id": pa.array([f"{self._id}-{row}" for row in range(calls.row, calls.row + rows)]),
            "source": pa.repeat(self.source, rows),
            "occurred_at": pa.array(calls.occurred_at_us).cast(TIMESTAMP),
            "team_id": pa.array(self.teams).take(pa.array(team)),
            "model": pa.repeat(self.model, rows),
            "operation": pa.repeat("chat", rows),
            "input_tokens": pa.array(calls.input_tokens),
            "output_tokens": pa.array(calls.output_tokens),
        }
        if self.provider is not None:
            columns["provider"] = pa.repeat(self.provider, rows)
        if calls.cache_read_tokens is not None:
            columns["cache_read_tokens"] = pa.array(calls.cache_read_tokens)
            read = calls.cache_read_tokens
            columns["prefix_tokens"] = pa.array(read, mask=read == 0)
        if calls.prefix_hash is not None:
            columns["prefix_hash"] = pa.array(calls.prefix_hash, pa.utf8())
        return usage_table(columns, rows)
