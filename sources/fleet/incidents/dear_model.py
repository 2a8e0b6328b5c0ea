"""In: the sales team's calls. Out: the same with a stretch in which a configuration change sends all of them to a
dear model.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import Calls
from sources.fleet.cast import HAIKU, OPUS
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import Scene, spike, within

TEAM: Final = "sales-outreach"
AT_MINUTE: Final = 8 * 60 + 30
LASTS: Final = 240


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Replaces the model within the window; tokens stay as they are."""
    hit = within(calls, scene.start_us, LASTS) & (calls.model == scene.numbers.models.index(HAIKU))
    model = np.where(hit, scene.numbers.models.index(OPUS), calls.model).astype(np.int32)
    sentence = (
        f"Team {TEAM} runs qualify-lead on {OPUS.name} instead of {HAIKU.name}: "
        "as many calls and tokens as ever, at fifteen times the price per token."
    )
    return calls.with_columns(model=model), spike("dear model", TEAM, scene.start_us, LASTS, sentence, "model_switch")
