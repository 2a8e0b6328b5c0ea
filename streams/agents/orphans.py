"""In: an open alert that nothing here remembers the reason of. Out: its resolution, so that nobody waits for one."""

from __future__ import annotations

from runtime.clock import to_datetime
from schemas.alerts import Alert


def orphaned(alert: Alert, now_us: int) -> Alert:
    """What was watched is watched anew after a rebuild; if it goes on, it is found and told again."""
    return alert.model_copy(
        update={
            "revision": alert.revision + 1,
            "state": "resolved",
            "summary": f"Closed because the agents' memory was rebuilt and no longer sees it: {alert.summary}",
            "suggested_action": "None.",
            "evaluated_at": to_datetime(now_us),
        }
    )
