"""In: a fleet and what a detector raised. Out: event by event, what was found, missed and raised for nothing.

An alert belongs to an incident of its team when it comes between the incident's beginning and half an hour after its
end. The first one finds it. Each further one is false, but for reminders: so long after the last one that somebody may
well be told again (labels.REMINDER_MINUTES). Alerts in the warm-up, on announced work (until half an hour after it) and
on what stayed below the rule of incidents are neither right nor wrong, for all detectors alike; but a detector that was
given the announcements and pages for one all the same is wrong. Delay is counted from the minute at which the incident
first met the rule to the newest event time that the detector had seen when it spoke.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.spikes.fleet import ON_TIME_MINUTES, Fleet
from benchmarks.spikes.labels import GRACE_MINUTES, MEASURES, NAMES, REMINDER_MINUTES, Incident, Plan, Raised

WARM_UP_MINUTES: Final = 14 * 1_440


@dataclass(frozen=True, slots=True)
class Found:
    incident: Incident
    alert: Raised
    delay: int


@dataclass(slots=True)
class Outcome:
    """Of one detector on one fleet; outcomes add up."""

    found: list[Found] = field(default_factory=list)
    missed: list[Incident] = field(default_factory=list)
    false: list[Raised] = field(default_factory=list)
    team_weeks: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.found + other.found,
            self.missed + other.missed,
            self.false + other.false,
            self.team_weeks + other.team_weeks,
        )

    @property
    def f1(self) -> float:
        right = len(self.found)
        return 2 * right / max(2 * right + len(self.missed) + len(self.false), 1)

    def figures(self) -> dict[str, float]:
        """precision, recall, f1, median and p95 delay in minutes, the median to the watermark
        that stood behind what had been seen, false alerts per team-week."""
        right, delays = len(self.found), np.array([float(one.delay) for one in self.found] or [np.nan])
        return {
            "f1": self.f1,
            "precision": right / max(right + len(self.false), 1),
            "recall": right / max(right + len(self.missed), 1),
            "delay_median": float(np.median(delays)),
            "delay_p95": float(np.quantile(delays, 0.95)),
            "delay_watermark": float(np.median(np.maximum(delays - ON_TIME_MINUTES, 0))),
            "false_per_team_week": len(self.false) / max(self.team_weeks, 1e-9),
        }

    def causes(self) -> dict[str, float]:
        """Of what was found: the true measure named first, among the first three; the incident named right; the use
        case that carries it named.
        """
        if not self.found:
            return {}
        first = [bool(set(one.alert.causes[:1]) & MEASURES[one.incident.kind]) for one in self.found]
        three = [bool(set(one.alert.causes[:3]) & MEASURES[one.incident.kind]) for one in self.found]
        named = [one.alert.name in NAMES[one.incident.kind] for one in self.found]
        carried = [one.alert.use_case == one.incident.use_case for one in self.found]
        return {
            "cause_first": float(np.mean(first)),
            "cause_among_three": float(np.mean(three)),
            "incident_named": float(np.mean(named)),
            "use_case_named": float(np.mean(carried)),
        }


def judge(fleet: Fleet, raised: list[Raised], *, announced: bool) -> Outcome:
    """`announced`: the detector was given the announcements."""
    outcome = Outcome(team_weeks=fleet.teams * (fleet.weeks - WARM_UP_MINUTES / 10_080))
    by_team: dict[int, tuple[list[Incident], list[Plan]]] = {team: ([], []) for team in range(fleet.teams)}
    for incident in fleet.incidents:
        by_team[incident.team][0].append(incident)
    for plan in fleet.plans:
        by_team[plan.team][1].append(plan)
    last: dict[Incident, int] = {}
    for alert in sorted(raised, key=lambda one: (one.minute, one.team)):
        if not alert.page:
            continue
        incidents, plans = by_team[alert.team]
        mine = [one for one in incidents if one.begins <= alert.minute <= one.end + GRACE_MINUTES]
        fresh = [one for one in mine if one not in last]
        if fresh:
            outcome.found.append(Found(fresh[0], alert, max(alert.minute - fresh[0].start, 0)))
            last[fresh[0]] = alert.minute
        elif mine:
            if alert.minute - last[mine[0]] < REMINDER_MINUTES and alert.minute >= WARM_UP_MINUTES and mine[0].counts:
                outcome.false.append(alert)
            last[mine[0]] = alert.minute
        elif alert.minute >= WARM_UP_MINUTES:
            planned = any(plan.begins <= alert.minute <= plan.end + GRACE_MINUTES for plan in plans)
            if announced or not planned:
                outcome.false.append(alert)
    outcome.found = [one for one in outcome.found if _is_scored(one.incident)]
    outcome.missed = [one for one in fleet.incidents if one not in last and _is_scored(one)]
    return outcome


def _is_scored(incident: Incident) -> bool:
    return incident.counts and incident.begins >= WARM_UP_MINUTES
