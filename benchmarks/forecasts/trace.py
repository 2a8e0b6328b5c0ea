"""In: recorded traces of real calls. Out: months of use made of them: sizes, order and unevenness are the trace's own,
when people work is ours.

The public traces are an hour long, so their time is stretched: each hour of the replay takes the next stretch of the
trace, as long as the hour of the day and week says (most by day, little at night and on weekends, by a seeded rule that
differs by team), and costs what those very calls cost by tokens. Each trace is cut into as many teams as are asked for
by giving each call to one of them at random, seeded.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.forecasts.fleet import DAYS, Series

FILES: Final = (
    "azure_llm_inference_2023_code.csv",
    "azure_llm_inference_2023_conv.csv",
    "mooncake_conversation.jsonl",
)
_START: Final = date(2025, 3, 3)


def read_traces(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By file: seconds since its beginning[n] and tokens, output counted four times[n]. Files that are not there are
    left out.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".csv":
            rows = [line.split(",") for line in lines[1:]]
            moments = np.array([row[0] for row in rows], dtype="datetime64[us]").astype(np.int64) / 1e6
            tokens = np.array([int(row[1]) + 4 * int(row[2]) for row in rows])
        else:
            calls = [json.loads(line) for line in lines]
            moments = np.array([call["timestamp"] / 1_000 for call in calls])
            tokens = np.array([call["input_length"] + 4 * call["output_length"] for call in calls])
        found[name] = moments - moments[0], tokens
    return found


def replays(folder: Path, seed: int, teams: int) -> tuple[date, list[Series]]:
    """`teams` budgets for each trace that is there, and the day on which they begin (UTC)."""
    found: list[Series] = []
    for number, (name, (seconds, tokens)) in enumerate(read_traces(folder).items()):
        random = np.random.default_rng([seed, number])
        owner = random.integers(0, teams, len(seconds))
        for team in range(teams):
            mine = owner == team
            found.append(Series(name, "UTC", _stretched(seconds[mine], tokens[mine], random)))
    return _START, found


def _stretched(seconds: np.ndarray, tokens: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """int64[hours]: the trace from a seeded place on, over and over."""
    hour, day = np.arange(DAYS * 24) % 24, np.arange(DAYS * 24) // 24
    begins, weekend = random.uniform(6, 10), random.uniform(0.05, 0.8)
    pace = np.where((hour >= begins) & (hour < begins + 9), 1.0, random.uniform(0.05, 0.5))
    pace = pace * np.where(day % 7 < 5, 1.0, weekend)
    length = float(seconds[-1]) + 1
    edges = np.concatenate([[0.0], np.cumsum(pace * 20)]) + random.uniform(0, length)
    sums = np.concatenate([[0], np.cumsum(tokens)])
    laps, within = np.divmod(edges, length)
    gone = laps * sums[-1] + sums[np.searchsorted(seconds, within)]
    found: np.ndarray = np.diff(gone).astype(np.int64)
    return found
