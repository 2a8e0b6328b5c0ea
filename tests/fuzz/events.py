"""In: spoiled events and outcomes. Out: what the decoder, enrich's pipeline and the sink's reader made of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
import pyarrow as pa

from schemas.avro_schemas import avro_schema
from schemas.decoding import Decoded, Decoder
from schemas.framing import frame_confluent
from schemas.rejections import Rejection, RejectionCode
from schemas.topics import Topics
from sinks.records.outcomes import OutcomeReader
from sinks.records.record_rows import Record
from streams.enrich.outputs import outputs
from streams.enrich.pipeline import Pipeline
from tests.fuzz.corpus import BATCH_ID, Registry, event_messages, registry
from tests.fuzz.mutations import BINARY, JSON, spoil
from tests.fuzz.target import PER_CALL, Input, Surprise
from tests.schemas.golden_files import Event
from tests.streams.enrich.oracle import RECORDS
from tests.support.enrich import CONFIG, NOON_US, fresh_states, rules_of, source_batch

_CODES: Final = frozenset(get_args(RejectionCode))
#: Characters of a sentence; a message of Kafka's takes a megabyte, and the raw bytes stand beside it.
_MAX_SENTENCE: Final = 4_000
_MAX_MESSAGE: Final = 1_000_000


class DecoderTarget:
    """`schemas.decoding` on one topic: single and batch form in all framings, mixed in one call."""

    def __init__(self, event: Event) -> None:
        self.name: str = event
        self._event: Event = event
        self._goods = event_messages(event)
        self._decoder = Decoder(event, registry(event))

    def inputs(self, rnd: random.Random) -> list[Input]:
        found = []
        for _ in range(PER_CALL):
            number = rnd.randrange(len(self._goods))
            good = self._goods[number]
            if rnd.random() < 0.1:
                found.append(Input(good.form, good.value, number))
            elif rnd.random() < 0.01:
                found.append(Input("nothing", rnd.choice((None, b""))))
            else:
                mutations = JSON if good.form.startswith("JSON") else BINARY
                found.append(Input(good.form, spoil(rnd, good.value, mutations)))
        return found

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        values = [one.value for one in inputs]
        decoded = self._decoder.decode(values)
        outcomes = self._outcomes(inputs, decoded)
        if len(decoded.failures) % 16 == 3:
            self._check_alone(values, decoded)
        return outcomes

    def _outcomes(self, inputs: Sequence[Input], decoded: Decoded) -> Counter[str]:
        told: list[str | None] = [
            "decoded" if count else None for count in np.bincount(decoded.message, minlength=len(inputs))
        ]
        for failure in decoded.failures:
            if failure.code not in _CODES or not 0 < len(failure.sentence) <= _MAX_SENTENCE or failure.index < 0:
                raise Surprise(f"value {failure.message}: code {failure.code}, sentence of {len(failure.sentence)}")
            told[failure.message] = failure.code
        if (np.diff(decoded.message) < 0).any():
            raise Surprise("the rows are not in source order")
        self._check_goods(inputs, decoded)
        outcomes: Counter[str] = Counter()
        for one, said in zip(inputs, told, strict=True):
            outcome = "batch of none" if said is None else said
            if said is None and not _has_no_events(one.value):
                raise Surprise(f"{one.form}: neither decoded nor refused")
            if one.good is None:
                outcomes[outcome] += 1
            elif outcome != "decoded":
                raise Surprise(f"a good {one.form} is {outcome}")
        return outcomes

    def _check_goods(self, inputs: Sequence[Input], decoded: Decoded) -> None:
        places = [place for place, one in enumerate(inputs) if one.good is not None]
        wanted = [self._goods[number].rows for one in inputs if (number := one.good) is not None]
        if wanted:
            rows = np.flatnonzero(np.isin(decoded.message, places))
            if not decoded.table.take(pa.array(rows)).equals(pa.concat_tables(wanted)):
                raise Surprise("a good neighbour was not decoded as it is alone")

    def _check_alone(self, values: Sequence[bytes | None], decoded: Decoded) -> None:
        """A value's fate does not depend on its neighbours: a repeat may meet others."""
        for place, value in list(enumerate(values))[:: len(values) // 8]:
            alone = self._decoder.decode([value])
            mine = [failure.code for failure in decoded.failures if failure.message == place]
            if mine != [failure.code for failure in alone.failures]:
                raise Surprise(f"alone it is {[one.code for one in alone.failures]}, in company {mine}: {value!r:.200}")
            if alone.table.num_rows != int((decoded.message == place).sum()):
                raise Surprise(f"alone it has {alone.table.num_rows} rows, in company another number: {value!r:.200}")


class PipelineTarget:
    """The same messages through all of enrich: every event is enriched, a duplicate, or rejected with a code."""

    name = "enrich"

    def __init__(self) -> None:
        self._decoder = DecoderTarget("usage_event")
        self._topics = Topics("", 1, 2)
        self._pipeline = Pipeline(CONFIG, "usage.events", 2, registry("usage_event"))
        self._rules = rules_of(*RECORDS)

    def inputs(self, rnd: random.Random) -> list[Input]:
        return self._decoder.inputs(rnd)

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        result = self._pipeline.run(source_batch([one.value for one in inputs]), self._rules, fresh_states(0))
        [done] = result.partitions
        ledger = done.ledger
        if ledger.read != ledger.enriched + ledger.duplicates + ledger.rejected:
            raise Surprise(f"the ledger does not add up: {ledger}")
        if ledger.rejected != len(done.rejections) or ledger.enriched != done.block.num_rows:
            raise Surprise(f"{len(done.rejections)} rejections, {done.block.num_rows} rows: {ledger}")
        seen = set(done.block.column("src_offset").to_pylist()) | {one.offset for one in done.rejections}
        for offset, one in enumerate(inputs):
            if offset not in seen and not ledger.duplicates and not _has_no_events(one.value):
                raise Surprise(f"{one.form}: neither enriched nor rejected")
        for output in outputs(result, self._topics, 120_000_000, NOON_US):
            if len(output.value) > _MAX_MESSAGE:
                raise Surprise(f"a message of {len(output.value)} bytes for {output.topic}")
            if output.topic == self._topics.rejected:
                Rejection.model_validate_json(output.value)
        outcomes: Counter[str] = Counter({"enriched": ledger.enriched, "duplicate": ledger.duplicates})
        outcomes.update(one.code for one in done.rejections if inputs[one.offset].good is None)
        return outcomes


class OutcomeTarget:
    """Outcomes as the sink reads them."""

    name = "outcomes in the sink"

    def __init__(self) -> None:
        self._decoder = DecoderTarget("outcome_event")
        self._reader = OutcomeReader("usage.outcomes", registry("outcome_event"))

    def inputs(self, rnd: random.Random) -> list[Input]:
        return self._decoder.inputs(rnd)

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        records = [Record(offset, None, one.value, NOON_US) for offset, one in enumerate(inputs)]
        read = self._reader.read(0, records)
        told: dict[int, str] = {}
        for rejection in read.rejections:
            if len(rejection.model_dump_json()) > _MAX_MESSAGE:
                raise Surprise(f"a rejection of {len(rejection.model_dump_json())} bytes")
            told[rejection.offset] = rejection.code
        for offset, one in enumerate(inputs):
            if one.good is not None and offset in told:
                raise Surprise(f"a good {one.form} is {told[offset]}")
        spoiled = [told.get(offset, "read") for offset, one in enumerate(inputs) if one.good is None]
        return Counter(spoiled)


class RegistryTarget:
    """Schemas that a registry may hand out: foreign, broken, or of types that no event has."""

    name = "schemas of a registry"

    def __init__(self) -> None:
        text = json.loads(avro_schema("usage_event").text)
        null_array = {"name": "n", "type": {"type": "array", "items": "null"}}
        self._texts = [
            avro_schema("usage_event").text,
            avro_schema("usage_event_batch").text,
            avro_schema("outcome_event").text,
            json.dumps(text | {"fields": [*text["fields"], null_array]}),
            '"string"',
            '{"type":"array","items":"null"}',
            '{"type":"record","name":"R","fields":[{"name":"events","type":{"type":"array","items":"null"}}]}',
            '{"type":"record","name":"R","fields":[{"name":"event_id","type":["null","string","long"]}]}',
        ]
        goods = {one.form: one.value[5:] for one in event_messages("usage_event") if one.form.startswith("Confluent")}
        self._datums = list(goods.values())

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [Input("schema", spoil(rnd, rnd.choice(self._texts).encode(), JSON)) for _ in range(PER_CALL // 16)]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        texts = {number: (one.value or b"").decode("utf-8", "replace") for number, one in enumerate(inputs)}
        target = Decoder("usage_event", Registry(texts | {-1: ""}))
        values = [frame_confluent(number, datum) for number in texts for datum in (*self._datums, b"", b"\xff" * 40)]
        decoded = target.decode(values)
        seen = set(decoded.message.tolist()) | {failure.message for failure in decoded.failures}
        missing = set(range(len(values))) - seen
        if any(values[place][5:] not in (b"", *self._datums) for place in missing):
            raise Surprise("a datum of a registry's schema is neither decoded nor refused")
        return Counter(failure.code for failure in decoded.failures)


def _has_no_events(value: bytes | None) -> bool:
    """A batch of none, in any framing: the only message that becomes neither a row nor a rejection."""
    if not value:
        return False
    if value[0] == 0x7B:
        return bool(json.loads(value) == {"events": []})
    batch = avro_schema("usage_event_batch").crc64
    return value[:10] == b"\xc3\x01" + batch or value[:5] == frame_confluent(BATCH_ID, b"")
