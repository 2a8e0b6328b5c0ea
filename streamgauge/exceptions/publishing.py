"""In: one record and the snapshot that it was made from. Out: it stands on `governance.control`, unless what it was
made from has changed meanwhile.
"""

from __future__ import annotations

from typing import Final

from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from schemas.control.records import ControlRecord, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import Topics
from streamgauge.apply.plan import Action, Change, Plan
from streamgauge.apply.publish import publish_plan
from streamgauge.exceptions.problems import Refused

#: Kinds that a decision rests on: what it is about, who may make it, and what else is granted.
_GROUNDS: Final = ("exception", "exception_rule", "principal", "budget", "acknowledgement", "department", "team")


class Changed(Refused):
    """Somebody else decided, or changed who may, between our reading and our writing."""


def read_control(connection: KafkaConnection, topics: Topics) -> ControlSnapshot:
    """All control records in force."""
    log = ControlLog(connection, topics.control)
    try:
        return log.read_to_end()
    finally:
        log.close()


def publish_record(
    record: ControlRecord, made_from: ControlSnapshot, connection: KafkaConnection, topics: Topics
) -> None:
    """Publish in one transaction. Changed where the grounds are no longer those of `made_from`.

    1. begin a transaction: whoever else publishes is fenced, so that nothing of theirs comes between.
    2. read anew and compare: with whatever was published since we stop here, and nothing was written.
    3. produce, commit. A crash before the commit leaves the control log as it was.
    """
    key = record_key(record)
    action: Action = "update" if key in made_from.records else "create"

    def unchanged() -> None:
        now = read_control(connection, topics)
        before, after = _grounds(made_from), _grounds(now)
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        if changed:
            raise Changed(
                f"{changed[0]} was changed by somebody else at this moment: nothing was published; look again "
                "and repeat the command"
            )

    publish_plan(Plan((Change(action, key, record),), 0, 0), connection, topics, check=unchanged)


def _grounds(snapshot: ControlSnapshot) -> dict[str, int]:
    """Where each record that a decision rests on was last published."""
    return {key: offset for key, offset in snapshot.offsets.items() if key.partition("/")[0] in _GROUNDS}
