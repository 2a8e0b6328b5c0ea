"""In: the legal team's calls. Out: the same with a stretch in which calls time out and are made again and again."""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import ERROR, OK, TIMED_OUT, Calls, concat
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import MINUTE_US, Scene, spike, within

TEAM: Final = "legal-review"
WORKFLOW: Final = "review-contract"
AT_MINUTE: Final = 9 * 60 + 30
LASTS: Final = 135
#: A call is made so many times at most, and each time but the last fails with this chance.
ATTEMPTS: Final = 12
FAILS: Final = 0.88


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Within the window each call of the workflow times out, billed without an answer, until an attempt succeeds."""
    workflows = [workload.workflow for _, workload in scene.numbers.workloads]
    hit = within(calls, scene.start_us, LASTS) & (calls.workload == workflows.index(WORKFLOW))
    hit &= (calls.status == OK) & (calls.attempt == 1)
    first = np.flatnonzero(hit)
    tries = np.minimum(scene.random.geometric(1 - FAILS, len(first)), ATTEMPTS)
    status, error = calls.status.copy(), calls.error.copy()
    output, reasoning = calls.output.copy(), calls.reasoning.copy()
    failing = first[tries > 1]
    status[failing], error[failing], output[failing], reasoning[failing] = ERROR, TIMED_OUT, 0, 0
    place = np.repeat(np.arange(len(first)), tries - 1)
    # Of one call's repeats the last answers, unless it is one too many.
    attempt = np.arange(len(place)) - np.repeat(np.cumsum(tries - 1) - (tries - 1), tries - 1) + 2
    again = calls.take(first[place])
    answers = (attempt == tries[place]) & (attempt < ATTEMPTS)
    times = again.occurred_us + (attempt - 1) * scene.random.integers(8_000_000, 20_000_000, len(place))
    times = np.minimum(times, scene.start_us + LASTS * MINUTE_US - 1)
    again = again.with_columns(
        call=calls.call.max() + 1 + np.arange(len(place)),
        sent_us=times,
        occurred_us=times,
        attempt=attempt,
        retry_of=again.call,
        status=np.where(answers, OK, ERROR).astype(np.int8),
        error=np.where(answers, 0, TIMED_OUT).astype(np.int8),
        output=np.where(answers, again.output, 0),
        reasoning=np.where(answers, again.reasoning, 0),
    )
    sentence = (
        f"A timeout that is too short: {FAILS:.0%} of the calls of workflow {WORKFLOW} of team {TEAM} end without an "
        f"answer and are made again at once, up to {ATTEMPTS} times."
    )
    changed = calls.with_columns(status=status, error=error, output=output, reasoning=reasoning)
    return concat([changed, again]), spike("retry storm", TEAM, scene.start_us, LASTS, sentence, "retry_storm")
