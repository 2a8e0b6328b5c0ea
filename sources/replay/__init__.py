"""Traces from files onto `usage.events`. A trace says when a call was made and how many tokens it took, not who made
it.

- `config` what to replay and how · `rules` who the calls are given to: a seeded rule, the same in every replay
- `azure_llm`, `mooncake`, `events_jsonl` one file format each, read as chunks · `pace` the trace's own tempo
- `replay` the whole: `replay(config, connection, topics)`
"""

from __future__ import annotations

from sources.replay.config import ReplayConfig, ReplaySummary, TraceFormat
from sources.replay.replay import replay

__all__ = ("ReplayConfig", "ReplaySummary", "TraceFormat", "replay")
