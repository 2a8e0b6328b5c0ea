"""In: the customer-success team's calls. Out: the same with an assistant that sends its whole conversation again."""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import Calls
from sources.fleet.draw import MAX_INPUT
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import Scene, spike, within

TEAM: Final = "customer-success"
AT_MINUTE: Final = 9 * 60 + 20
LASTS: Final = 210
#: Conversations that go on at a time, and calls after which one is begun anew.
CONVERSATIONS: Final = 2
CALLS: Final = 25


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Within the window calls follow each other in a few long conversations, and each one's input is all that was said
    in its conversation so far.
    """
    hit = np.flatnonzero(within(calls, scene.start_us, LASTS))
    hit = hit[np.argsort(calls.occurred_us[hit], kind="stable")]
    turn = np.arange(len(hit))
    conversation = turn % CONVERSATIONS + turn // (CONVERSATIONS * CALLS) * CONVERSATIONS
    tokens, person = calls.input.copy(), calls.person.copy()
    for one in np.unique(conversation):
        mine = hit[conversation == one]
        said = calls.output[mine].cumsum() - calls.output[mine]
        tokens[mine] = np.minimum(calls.input[mine].cumsum() + said, max(MAX_INPUT, int(calls.input.max())))
        person[mine] = calls.person[mine[0]] if len(mine) else -1
    session = calls.session.copy()
    session[hit] = calls.session.max() + 1 + conversation
    sentence = (
        f"After an update the assistant of team {TEAM} sends the whole conversation with each call: input grows from "
        f"call to call, up to {CALLS}-fold, until the conversation is begun anew."
    )
    changed = calls.with_columns(input=tokens, person=person, session=session)
    # Both are right: from the stream's own sums alone the two look alike, single calls tell them apart.
    planted = spike("context resent", TEAM, scene.start_us, LASTS, sentence, "context_resent", "prompt_bloat")
    return changed, planted
