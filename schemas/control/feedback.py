"""In: what somebody on call says of an alert. Out: the record of it: agents grow quiet by it, precision is measured.

One stands for each alert; a newer one replaces it. `streamgauge alerts ack|expected|noise` writes it.
"""

from __future__ import annotations

from typing import Literal

from schemas.alerts import Said
from schemas.control.base import Id, Moment, Record, Text


class AlertFeedback(Record):
    """`id` is the alert's. `acknowledged`: somebody is on it; `expected`: real and known; `noise`: not worth a page."""

    kind: Literal["feedback"] = "feedback"
    id: Id
    said: Said
    by: Text
    at: Moment
    note: Text | None = None
