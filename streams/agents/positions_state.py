"""In: chain, watermarks and counting of a shard. Out: one JSON value for the checkpoint's meta, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from streams.agents.chain import Chain
from streams.agents.counting import Counting, Steps
from streams.agents.watermarks import InputMark, Moment, Watermarks


def dump_positions(chain: Chain, watermarks: Watermarks, counting: Counting) -> dict[str, Any]:
    return {
        "next_offset": chain.resume_offset,
        "applied": {str(partition): offset for partition, offset in chain.applied.items()},
        "inputs": {str(partition): asdict(own) for partition, own in watermarks.inputs.items()},
        "now": asdict(watermarks.now),
        "steps": {str(p): [steps.controls, steps.before_us] for p, steps in counting.steps.items()},
        "lost_us": counting.lost_us,
        "losses": counting.losses,
    }


def load_positions(positions: Mapping[str, Any], chain: Chain, watermarks: Watermarks, counting: Counting) -> None:
    """Raises KeyError when something is missing: the version should have said so."""
    chain.next_offset = positions["next_offset"]
    chain.applied = {int(partition): offset for partition, offset in positions["applied"].items()}
    watermarks.inputs |= {int(partition): InputMark(**own) for partition, own in positions["inputs"].items()}
    watermarks.now = Moment(**positions["now"])
    counting.steps |= {int(p): Steps(controls, before) for p, (controls, before) in positions["steps"].items()}
    counting.lost_us = positions["lost_us"]
    counting.losses = positions.get("losses", 0)
