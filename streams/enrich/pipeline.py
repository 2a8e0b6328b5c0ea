"""In: a batch of raw messages. Out: enriched blocks, tallies, rejections, fingerprints and ledger rows. Pure: no
effects.

The order is the data path's: decode → validate → dedupe → attribute → pseudonymise → price → mark late → judge by
policies → tally. The same batch under the same rules and partition states gives the same result, which is what makes a
repeat harmless.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.decoding import Decoded, Decoder, SchemaSource
from schemas.enriched import ENRICHED
from schemas.positions import LedgerRow, SourceRange
from schemas.prices.columns import CallColumns
from schemas.prices.pricing import price
from schemas.rejections import Rejection
from schemas.usage import TIMESTAMP
from streams.enrich.batch import BatchResult, Conflicts, PartitionResult, PartitionState, SourceBatch
from streams.enrich.coded import encode, plain
from streams.enrich.columns import ints, whole
from streams.enrich.config import EnrichConfig
from streams.enrich.dedupe import ACCEPTED, CONFLICT, DUPLICATE, Fingerprints, Verdicts, fingerprints
from streams.enrich.facts import Facts, facts_of
from streams.enrich.groups import Index
from streams.enrich.hashing import content, identity
from streams.enrich.pseudonyms import Pseudonyms
from streams.enrich.rejecting import rejections_of
from streams.enrich.rows import Rows
from streams.enrich.rules import Rules
from streams.enrich.source_rows import source_rows
from streams.enrich.tally import TallyMaker
from streams.enrich.validate import Refusals, validate
from streams.enrich.watermark import mark_late


class Pipeline:
    """The columns from end to end. Keeps caches only (writer schemas, user hashes, tally homes)."""

    def __init__(
        self, config: EnrichConfig, events_topic: str, tally_partitions: int, schemas: SchemaSource | None
    ) -> None:
        self._decoder = Decoder("usage_event", schemas)
        self._pseudonyms = Pseudonyms(config.user_key)
        self._tallies = TallyMaker(tally_partitions)
        self._topic = events_topic
        self._tag_keys = frozenset(config.tag_keys)
        self._lateness_us = config.lateness_s * 1_000_000

    def run(self, batch: SourceBatch, rules: Rules, states: Mapping[int, PartitionState]) -> BatchResult:
        """Enrich one batch. Raises only what the registry raises when it is away; bad events become rejections."""
        decoded = self._decoder.decode(batch.values)
        rows = Rows.of(decoded, batch)
        refusals = validate(rows.table, rows.append_us, self._tag_keys)
        prints, verdicts = self._judge(rows, refusals, states)

        accepted = np.flatnonzero(verdicts == ACCEPTED)
        # Nearly every batch passes whole, and copying its columns for nothing is a tenth of the work.
        table = rows.table if len(accepted) == rows.table.num_rows else rows.table.take(pa.array(accepted))
        late, greatest = self._late(rows, accepted, table, states)
        facts, conflicts = self._enrich(table, rows, accepted, late, rules)
        judged = rules.policies.judge(facts)
        enriched = facts.table if judged is None else judged.on(facts.table)
        rejections = rejections_of(batch, decoded, rows, refusals, self._topic)
        passed = (verdicts == ACCEPTED) | (verdicts == DUPLICATE)
        sources = source_rows(rows.partition, rows.table.column("source"), rows.append_us, passed, rejections)

        accepted_of = rows.partition[accepted]
        partitions = []
        for source_range in batch.ranges:
            # Batches are ordered by partition, so a partition's rows are one slice of each column.
            places = _slice_of(accepted_of, source_range.partition)
            block = enriched.slice(places.start, places.stop - places.start)
            mine = prints.take(accepted[places])
            partitions.append(
                self._partition_result(source_range, batch, rows, verdicts, block, mine, greatest, rejections, rules)
            )
        unpriced = enriched.column("cost_nanousd").null_count
        return BatchResult(
            tuple(partitions),
            self._tallies.tally(facts, rules.budgets, sources, judged),
            sources,
            rules.position,
            unpriced,
            conflicts,
            decoded.unknown_fields,
            _events_in(decoded, batch.unkeyed),
        )

    def _judge(
        self, rows: Rows, refusals: Refusals, states: Mapping[int, PartitionState]
    ) -> tuple[Fingerprints, Verdicts]:
        """Dedupe the valid rows of each partition. A refused row claims no id: fixed and sent again, it counts."""
        prints = fingerprints(identity(rows.table), content(rows.table), rows.append_us)
        verdicts = np.full(rows.table.num_rows, _REFUSED, np.int8)
        valid = np.ones(rows.table.num_rows, bool)
        valid[list(refusals.rows)] = False
        for partition in np.unique(rows.partition).tolist():
            mine = np.flatnonzero(valid & (rows.partition == partition))
            verdicts[mine] = states[partition].window.judge(prints.take(mine))
        for row in np.flatnonzero(verdicts == CONFLICT).tolist():
            event_id = rows.table.column("event_id")[row].as_py()
            refusals.rows[row] = (
                "id_conflict",
                f"event_id {event_id!r} of this source was counted with other content: give each call its own id",
            )
        return prints, verdicts

    def _late(
        self, rows: Rows, accepted: npt.NDArray[np.intp], table: pa.Table, states: Mapping[int, PartitionState]
    ) -> tuple[npt.NDArray[np.bool_], dict[int, int | None]]:
        occurred = ints(table, "occurred_at")
        late = np.zeros(len(accepted), bool)
        greatest = {partition: state.greatest_us for partition, state in states.items()}
        partition_of, append_us = rows.partition[accepted], rows.append_us[accepted]
        for partition in np.unique(partition_of).tolist():
            mine = _slice_of(partition_of, partition)
            late[mine], greatest[partition] = mark_late(
                occurred[mine], append_us[mine], greatest[partition], self._lateness_us
            )
        return late, greatest

    def _enrich(
        self,
        table: pa.Table,
        rows: Rows,
        accepted: npt.NDArray[np.intp],
        late: npt.NDArray[np.bool_],
        rules: Rules,
    ) -> tuple[Facts, Conflicts]:
        """Accepted rows as ENRICHED columns, and how many claims lost."""
        column = {name: whole(table.column(name)) for name in table.column_names}
        model = encode(column["model"])
        user_hash = self._pseudonyms.of(column["user_id"])
        attributed = rules.directory.attribute(
            ints(table, "occurred_at"), column["team_id"], column["credential_id"], user_hash, column["source"]
        )
        purpose = rules.use_cases.judge(column["use_case"], column["stage"], column["data_class"], attributed)
        priced = price(rules.card, CallColumns.from_usage(table)).record_batch()
        column |= {name: priced.column(name) for name in priced.schema.names}
        column |= {
            "src_partition": pa.array(rows.partition[accepted]),
            "src_offset": pa.array(rows.offset[accepted]),
            "src_index": pa.array(rows.index[accepted]),
            "ingested_at": pa.array(rows.append_us[accepted]).cast(TIMESTAMP),
            "claimed_team_id": column["team_id"],
            "team_id": attributed.team_id,
            "user_hash": user_hash,
            "attribution": attributed.attribution,
            "attribution_conflict": pa.array(attributed.conflict),
            "department": attributed.department,
            "cost_center": attributed.cost_center,
            "model_class": rules.classes.of(model),
            "late": pa.array(late),
            "role": attributed.role,
            "use_case": purpose.use_case,
            "stage": purpose.stage,
            "criticality": purpose.criticality,
            "data_class": purpose.data_class,
            "claimed_use_case": purpose.claimed_use_case,
            "claimed_stage": purpose.claimed_stage,
        }
        column |= {field.name: pa.nulls(len(accepted), field.type) for field in ENRICHED if field.name not in column}
        coded = {name: array for name, array in column.items() if isinstance(array, pa.DictionaryArray)}
        column |= {name: plain(array) for name, array in coded.items()}
        arrays = [
            column[field.name] if column[field.name].type == field.type else column[field.name].cast(field.type)
            for field in ENRICHED
        ]
        conflicts = Conflicts(int(attributed.conflict.sum()), purpose.use_case_conflicts, purpose.stage_conflicts)
        return facts_of(pa.Table.from_arrays(arrays, schema=ENRICHED), coded | {"model": model}), conflicts

    def _partition_result(
        self,
        source_range: SourceRange,
        batch: SourceBatch,
        rows: Rows,
        verdicts: Verdicts,
        block: pa.Table,
        prints: Fingerprints,
        greatest: Mapping[int, int | None],
        rejections: list[Rejection],
        rules: Rules,
    ) -> PartitionResult:
        partition = source_range.partition
        mine = _slice_of(rows.partition, partition)
        refused = tuple(one for one in rejections if one.partition == partition)
        judged = verdicts[mine]
        failed = len(refused) - int(((judged == _REFUSED) | (judged == CONFLICT)).sum())
        occurred = block.column("occurred_at")
        times = pc.min_max(occurred.cast(pa.int64())).as_py()
        ledger = LedgerRow(
            partition=partition,
            first=source_range.first,
            next=source_range.next,
            read=mine.stop - mine.start + failed,
            enriched=block.num_rows,
            duplicates=int((judged == DUPLICATE).sum()),
            rejected=len(refused),
            late=_total(block, "late"),
            input_tokens=_total(block, "input_tokens"),
            output_tokens=_total(block, "output_tokens"),
            cost_nanousd=_total(block, "cost_nanousd"),
            unpriced=block.column("cost_nanousd").null_count,
            unattributed=int(pc.sum(pc.equal(block.column("attribution"), "unattributed")).as_py() or 0),
            min_event_us=times["min"],
            max_event_us=times["max"],
            append_us=int(batch.append_us[_slice_of(batch.partition, partition)].max()),
            card=rules.card.label,
            control=rules.position,
        )
        return PartitionResult(
            source_range,
            ledger,
            block,
            prints,
            greatest.get(partition),
            refused,
        )


_REFUSED = np.int8(3)


def _events_in(decoded: Decoded, messages: Index) -> int:
    """How many events, readable or not, came in some of the messages."""
    if len(messages) == 0:
        return 0
    failed = np.array([failure.message for failure in decoded.failures], np.int64)
    return int(np.isin(decoded.message, messages).sum() + np.isin(failed, messages).sum())


def _slice_of(partitions: npt.NDArray[np.int32], partition: int) -> slice:
    """Where `partition` stands in an ascending column."""
    return slice(*np.searchsorted(partitions, [partition, partition + 1]).tolist())


def _total(block: pa.Table, name: str) -> int:
    return int(pc.sum(block.column(name)).as_py() or 0)
