"""In: states of alerts, in the order of the topic. Out: what each means for Alertmanager, and which alerts are open.

Pure: the same states give the same board, so it is made anew from the topic wherever a forwarder begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.alerts import Alert
from streamgauge.forwarding.labels import Labels, labels_of

#: `post`: to be told. The others are passed over: of old time, of severity info where that is not wanted, known
#: already, or the end of what was never told.
Verdict = Literal["post", "history", "info", "repeated", "nothing_open"]


@dataclass(frozen=True, slots=True)
class Told:
    """One state to post, under the labels of its alert."""

    alert: Alert
    labels: Labels

    @property
    def is_open(self) -> bool:
        return self.alert.state != "resolved"


@dataclass(frozen=True, slots=True)
class _Open:
    told: Told
    #: Monotonic seconds of the last post; None: not posted since the board was made.
    posted_at: float | None
    put_aside: bool = False


class Board:
    """`send_info`: whether alerts of severity info are told. Not thread-safe."""

    def __init__(self, *, send_info: bool) -> None:
        self._send_info = send_info
        self._revisions: dict[str, int] = {}
        self._open: dict[str, _Open] = {}

    def take(self, alert: Alert) -> tuple[Verdict, Told | None]:
        """One state change; what is to be posted comes with `post`."""
        name = alert.alert_id
        held = self._open.get(name)
        if alert.historical and not (held is not None and alert.state == "resolved"):
            # Old time opens nothing; the end of what is open is told all the same, or it would stay for ever.
            return "history", None
        if alert.revision <= self._revisions.get(name, -1):
            return "repeated", None
        self._revisions[name] = alert.revision
        if alert.state == "resolved":
            if held is None:
                return "nothing_open", None
            del self._open[name]
            return "post", Told(alert, held.told.labels)
        if held is None and alert.severity == "info" and not self._send_info:
            return "info", None
        told = Told(alert, labels_of(alert) if held is None else held.told.labels)
        self._open[name] = _Open(told, None)
        return "post", told

    def posted(self, told: Told, now_s: float) -> None:
        """It was taken at `now_s` (monotonic)."""
        held = self._open.get(told.alert.alert_id)
        if held is not None and held.told.alert.revision == told.alert.revision:
            self._open[told.alert.alert_id] = _Open(held.told, now_s)

    def put_aside(self, told: Told) -> None:
        """Alertmanager does not take this state: it is left alone until the alert's next one."""
        held = self._open.get(told.alert.alert_id)
        if held is not None and held.told.alert.revision == told.alert.revision:
            self._open[told.alert.alert_id] = _Open(held.told, held.posted_at, put_aside=True)

    def due(self, now_s: float, repost_s: float) -> list[Told]:
        """Open alerts whose last post is `repost_s` ago, or that were never posted."""
        return [
            one.told
            for one in self._open.values()
            if not one.put_aside and (one.posted_at is None or now_s - one.posted_at >= repost_s)
        ]

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Told]:
        return iter([one.told for one in self._open.values()])
