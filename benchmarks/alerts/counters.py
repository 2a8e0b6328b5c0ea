"""In: the agents' endpoint, the kernel. Out: what has been counted so far, to be taken again later and subtracted."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench_roles import metric
from streamgauge.local.process import RoleProcess


def settled(agents: RoleProcess) -> tuple[float, float, float]:
    """Tally messages that the agents took, seconds of their settlements, and how many those were."""
    settle = "streamgauge_agents_settle_seconds"
    taken = metric(agents, "streamgauge_agents_tally_messages_total")
    return taken, metric(agents, f"{settle}_sum"), metric(agents, f"{settle}_count")


def machine() -> tuple[float, float]:
    """(busy, all) processor time of the whole machine, in ticks (Linux)."""
    fields = [float(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)
