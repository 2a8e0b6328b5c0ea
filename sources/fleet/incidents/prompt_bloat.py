"""In: the claims team's calls. Out: the same with a deploy whose prompt template carries every example ever written."""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import BAD_DEPLOY, Calls
from sources.fleet.draw import MAX_INPUT
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import Scene, spike, within

TEAM: Final = "claims-docs"
AT_MINUTE: Final = 10 * 60
LASTS: Final = 240
#: Input tokens per call, times this.
FACTOR: Final = 7


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Multiplies the input of each call in the window and names the new workflow version and template."""
    hit = within(calls, scene.start_us, LASTS)
    version = np.where(hit, BAD_DEPLOY, calls.version).astype(np.int32)
    tokens = np.where(hit, np.minimum(calls.input * FACTOR, max(MAX_INPUT, int(calls.input.max()))), calls.input)
    sentence = (
        f"A deploy of team {TEAM} puts all examples into the prompt of workflow extract-claim: "
        f"input tokens per call rise about {FACTOR}-fold until it is rolled back."
    )
    changed = calls.with_columns(version=version, input=tokens)
    return changed, spike("prompt bloat", TEAM, scene.start_us, LASTS, sentence, "prompt_bloat")
