"""In: one settlement. Out: what every alert on an episode needs of it, and where the alerts go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.planned import Planned, activity_of
from streams.agents.spikes.buckets import BUCKET_US
from streams.agents.spikes.finding import Finding, Series
from streams.agents.verdicts import Timeline

Tell = Callable[[Finding, ControlSnapshot, int], Alert]


@dataclass(frozen=True, slots=True)
class Told:
    """What every alert of one settlement needs, and where it goes."""

    timeline: Timeline
    control: ControlSnapshot
    activities: tuple[Planned, ...]
    now_us: int
    alerts: list[Alert]

    def append_us(self, bucket: int) -> int:
        """Broker time of the message that closed the bucket, of the last one while it is open."""
        entry = self.timeline.passed((bucket + 1) * BUCKET_US)
        moments = self.timeline.moments
        moment = moments[entry] if 0 <= entry < len(moments) else self.timeline.last
        if entry < 0 and self.timeline.before is not None:
            moment = self.timeline.before
        return self.now_us if moment.append_us is None else moment.append_us

    def is_planned(self, bucket: int) -> bool:
        """Whether anything is planned in a bucket."""
        return any(one.start_us <= bucket * BUCKET_US < one.end_us for one in self.activities)

    def activity(self, series: Series, bucket: int) -> str | None:
        """The planned activity that covers a series in a bucket."""
        return activity_of(self.activities, series.team, series.use_case, bucket * BUCKET_US, self.control)
