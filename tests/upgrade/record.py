"""In: a version's number. Out: a folder `recorded/vN` with the messages that this version writes to every topic, and
the columns of its tables: `python -m tests.upgrade.record 2`. It refuses to overwrite one.

The messages come from the code that writes them: enrich's pipeline over golden events, a shard of the agents over the
tallies that come out of it, the models of documents. Tables come from an embedded ClickHouse with every migration.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from runtime.clock import FixedClock
from schemas.adjustments import ADJUSTED_EVENTS, AdjustmentPart
from schemas.arrow_ipc import to_ipc
from schemas.avro_schemas import avro_schema
from schemas.control.records import dump_record, record_key
from schemas.positions import PAYLOAD_VERSION
from schemas.status import status_key
from schemas.tallies import TALLIES
from schemas.topics import Topics
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import migrate
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.tally_message import read_tally
from streams.enrich.batch import PartitionState
from streams.enrich.outputs import heartbeats, outputs
from streams.enrich.pipeline import Pipeline
from tests.fuzz.corpus import Registry
from tests.schemas.golden_files import CONFLUENT_ID, golden_messages
from tests.schemas.samples import ALERT, NOON, REJECTION, STATUS
from tests.streams.agents.samples import cell, control
from tests.streams.agents.samples import table as tally_table
from tests.streams.enrich.oracle import RECORDS
from tests.support.blocks import default_of
from tests.support.enrich import CONFIG, NOON_US, avro_batch, avro_value, event, fresh_states, rules_of, source_batch
from tests.upgrade import governed
from tests.upgrade.readers import READERS
from tests.upgrade.recorded import RECORDED, Message, write_messages

TOPICS: Final = Topics("", 1, 1)
DOCUMENTS: Final = (*RECORDS, *governed.DOCUMENTS)
LATENESS_US: Final = CONFIG.lateness_s * 1_000_000


def produced() -> dict[str, list[Message]]:
    """Every topic's messages, by its name without a prefix."""
    found: dict[str, list[Message]] = {topic: [] for topic in READERS}
    for golden in golden_messages():
        topic = "usage.events" if golden.event == "usage_event" else "usage.outcomes"
        found[topic].append(Message(golden.form.encode(), [], golden.value))
    for topic, messages in _enrich().items():
        found[topic] += messages
    found["usage.state"] = _state(found["usage.tallies"])
    found["usage.rejected"].append(Message(b"3:70:2", [], REJECTION.model_dump_json().encode()))
    alerts = (ALERT, *governed.ALERTS)
    found["governance.alerts"] = [Message(one.alert_id.encode(), [], one.model_dump_json().encode()) for one in alerts]
    key = status_key(STATUS.budget_id, STATUS.period.start).encode()
    found["governance.status"] = [
        Message(key, [], STATUS.model_dump_json().encode()),
        Message(governed.STATUS_KEY.encode(), [], governed.STATUS.model_dump_json().encode()),
    ]
    found["governance.control"] = [Message(record_key(one).encode(), [], dump_record(one)) for one in DOCUMENTS]
    found["usage.adjustments"] = _adjustments()
    return found


def _enrich() -> dict[str, list[Message]]:
    """A batch with accepted, late, unattributed, repeated and refused events, and a heartbeat behind it."""
    calls = [
        event(
            n,
            source=f"gateway-{n % 2}",
            credential_id=f"key-{n % 7}",
            use_case="triage",
            workflow="sorting",
            stage="exploratory",
            user_id=f"person {n % 4}",
        )
        for n in range(12)
    ]
    values: list[bytes | None] = [
        *map(avro_value, calls[:6]),
        avro_batch(calls[6:]),
        avro_value(calls[2]),
        avro_value(event(90, model="nobody-knows-it", tags={}, occurred_at=NOON_US - 9_000_000_000)),
        b"nonsense",
        avro_value(event(91, input_tokens=-1)),
    ]
    registry = Registry({CONFLUENT_ID: avro_schema("usage_event").text})
    pipeline = Pipeline(CONFIG, TOPICS.events, TOPICS.tally_partitions, registry)
    result = pipeline.run(source_batch(values), rules_of(*DOCUMENTS), fresh_states(0))
    written = list(outputs(result, TOPICS, LATENESS_US, NOON_US))
    [done] = result.partitions
    state = fresh_states(0)[0]
    state = PartitionState(done.range.next, state.window, done.greatest_us, done.ledger.append_us)
    written += heartbeats(0, state, result.control, TOPICS, LATENESS_US, NOON_US + 5_000_000)
    found: dict[str, list[Message]] = {}
    for one in written:
        found.setdefault(one.topic, []).append(Message(one.key, one.headers, one.value))
    return found


def _state(tallies: list[Message]) -> list[Message]:
    """The checkpoint of a shard that read the tallies."""
    shard = Shard(0, Counts(TOPICS.event_partitions, TOPICS.tally_partitions), AgentsConfig())
    for offset, one in enumerate(tallies):
        shard.offer(read_tally(offset, one.headers, one.value))
    settlement = shard.settle(NOON_US, control(*DOCUMENTS), force=True)
    assert settlement is not None
    return [Message(key.encode(), [], value) for key, value in settlement.records]


def _adjustments() -> list[Message]:
    columns = [
        pa.scalar(NOON_US, field.type) if pa.types.is_timestamp(field.type) else default_of(field, 1)[0]
        for field in ADJUSTED_EVENTS
    ]
    events = pa.Table.from_arrays([pa.repeat(one, 2) for one in columns], schema=ADJUSTED_EVENTS)
    sums = tally_table([cell(NOON_US, calls=0, cost_nanousd=-5), cell(NOON_US, "risk", calls=-1, cost_nanousd=7)])
    assert sums.schema == TALLIES
    parts = [("tallies", sums), ("events", events)]
    return [
        Message(
            None,
            [AdjustmentPart("a-1", "reprice", form, number, len(parts), "a price came", "somebody", NOON).header()],  # type: ignore[arg-type]
            to_ipc(table),
        )
        for number, (form, table) in enumerate(parts)
    ]


def tables() -> dict[str, dict[str, str]]:
    """Columns and types of every table and view after all migrations."""
    with tempfile.TemporaryDirectory() as folder:
        target = ClickHouseTarget(chdb_path=Path(folder), database="recorded")
        with Database.open(target, create=True) as database:
            migrate(database, FixedClock(NOON_US), has_access_control=False)
            return columns_of(database)


def columns_of(database: Database) -> dict[str, dict[str, str]]:
    """Of the database's tables and views, as ClickHouse names their types."""
    found: dict[str, dict[str, str]] = {}
    query = "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    for table, name, kind in database.query(query):
        found.setdefault(table, {})[name] = kind
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.record", description=__doc__)
    parser.add_argument("version", type=int, nargs="?", default=PAYLOAD_VERSION)
    parser.add_argument("--into", type=Path, help="another folder, to look at")
    parser.add_argument("--tables", action="store_true", help="only print the tables of this version")
    asked = parser.parse_args()
    if asked.tables:
        sys.stdout.write(json.dumps(tables()))
        return 0
    folder = asked.into or RECORDED / f"v{asked.version}"
    if folder.exists():
        sys.stderr.write(f"{folder.name} is recorded already: its bytes stand on topics and never change\n")
        return 1
    messages: dict[str, list[Message]] = produced()
    described: dict[str, Any] = tables()
    for topic, ours in messages.items():
        write_messages(folder, topic, ours, READERS[topic](ours))
    (folder / "tables.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
