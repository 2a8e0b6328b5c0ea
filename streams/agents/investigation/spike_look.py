"""In: findings of spikes, answers. Out: their alerts, questions, and one `updated` revision when an answer has come.

An episode is looked into when its first closed buckets are told; not when it is planned or history. One that was plain
before its bucket was over is also looked into at once, by what is there so far; what comes of the closed bucket takes
the place of that. The span that is asked for, and what came of it, stand in the checkpoint in the transaction of the
alert that tells them: whatever dies when, nothing is told twice, what was open is asked again for the same span, and
every later state of the episode tells what was found. Where nobody answers for closed buckets, the revision says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.alerts import Alert
from schemas.control.periods import HOUR_US
from schemas.control.snapshot import ControlSnapshot
from streams.agents.history import Before
from streams.agents.investigation.detail import Span, SpikeDetail, SpikeQuestion
from streams.agents.spikes.explain.detail_facts import facts_of
from streams.agents.spikes.explain.facts import Facts
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.finding import Finding
from streams.agents.spikes.texts import finding_id, spike_alert

if TYPE_CHECKING:
    from streams.agents.investigation.investigator import Looked

_KEY: Final = "spikelook/"
_DAY_US: Final = 24 * HOUR_US
#: Where the same span of another day has too few calls, it is made that much longer on both sides.
_AROUND_US: Final = HOUR_US // 2
#: Where neither the week nor the day before has calls, the hours right before tell what use is made of.
_RIGHT_BEFORE_US: Final = 3 * HOUR_US


class Retelling(Protocol):
    """Whoever keeps the episodes."""

    def retell(self, alert_id: str, control: ControlSnapshot, now_us: int) -> Alert | None:
        """The running episode, told in one more revision; None: it does not run any more."""


class _Look(BaseModel):
    """`early`: its bucket is not closed, and it is asked; `early_done`: it was; `open`: it is asked of closed buckets;
    `away`: nobody answered; `found`: here is what.
    """

    model_config = ConfigDict(frozen=True)

    stage: Literal["early", "early_done", "open", "away", "found"]
    team: str
    use_case: str | None
    start_us: int
    end_us: int
    expected: int
    facts: Facts | None = None


@dataclass(slots=True)
class SpikeLooks:
    """Of one shard, by alert id. `runbook`: as in AgentsConfig. `enabled`: somebody takes the questions."""

    runbook: str | None = None
    enabled: bool = False
    _looks: dict[str, _Look] = field(default_factory=dict)
    #: Asked in this life of the process, by stage.
    _asked: set[tuple[str, str]] = field(default_factory=set)
    _fresh: list[SpikeQuestion] = field(default_factory=list)
    _answers: list[Looked] = field(default_factory=list)
    _changed: set[str] = field(default_factory=set)

    def tell(self, finding: Finding, control: ControlSnapshot, now_us: int) -> Alert:
        """The alert of one state of an episode, with what is known of it besides its sums."""
        one_id = finding_id(finding)
        look = self._looks.get(one_id)
        begins = finding.why in ("began", "early") and not finding.historical and finding.activity is None
        if look is None and begins and self.enabled:
            look = self._put(one_id, _look(finding, "early" if finding.why == "early" else "open"))
        elif look is not None and look.stage in ("early", "early_done") and finding.why == "grown":
            look = self._put(one_id, _look(finding, "open", look.facts))
        alert = spike_alert(finding, control, now_us, _known(look), self.runbook)
        if alert.state == "resolved":
            self._forget(one_id)
        return alert

    def settle(
        self, watch: Retelling, partition: int, applied: Before, control: ControlSnapshot, now_us: int
    ) -> list[Alert]:
        """Ask what is due, and tell what was answered, each in one revision."""
        told: list[Alert] = []
        for looked in self._answers:
            question = looked.question
            if not isinstance(question, SpikeQuestion):
                raise TypeError(f"a question about a spike was expected, not {question}")
            look = self._looks.get(question.alert_id)
            if look is None or look.stage != ("early" if question.so_far else "open"):
                continue
            if isinstance(looked.found, SpikeDetail):
                stage, facts = "early_done" if question.so_far else "found", facts_of(question, looked.found)
                self._put(question.alert_id, look.model_copy(update={"stage": stage, "facts": facts}))
            else:
                stage = "early_done" if question.so_far else "away"
                self._put(question.alert_id, look.model_copy(update={"stage": stage}))
                if question.so_far:
                    continue
            alert = watch.retell(question.alert_id, control, now_us)
            if alert is None:
                self._forget(question.alert_id)
            else:
                told.append(alert)
        self._answers.clear()
        for one_id, look in sorted(self._looks.items()):
            asks = look.stage in ("early", "open") and (one_id, look.stage) not in self._asked
            if asks and self.enabled:
                self._asked.add((one_id, look.stage))
                self._fresh.append(_question(one_id, look, partition, dict(applied)))
        return told

    def take_questions(self) -> list[SpikeQuestion]:
        fresh, self._fresh = self._fresh, []
        return fresh

    def give(self, answers: Iterable[Looked]) -> None:
        """For the next settlement."""
        self._answers += answers

    def _put(self, one_id: str, look: _Look) -> _Look:
        self._looks[one_id] = look
        self._changed.add(one_id)
        return look

    def _forget(self, one_id: str) -> None:
        if self._looks.pop(one_id, None) is not None:
            self._changed.add(one_id)
        self._asked -= {(one_id, "early"), (one_id, "open")}

    def take_documents(self) -> dict[str, str | None]:
        """What changed since the last call, as JSON by key; None: gone."""
        documents = {
            f"{_KEY}{one_id}": None if (look := self._looks.get(one_id)) is None else look.model_dump_json()
            for one_id in sorted(self._changed)
        }
        self._changed.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        """Everything."""
        self._changed.update(self._looks)
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        """What another version wrote otherwise is let go: its episodes are told from the stream's own sums."""
        for name, text in documents.items():
            if name.startswith(_KEY):
                one_id = name.removeprefix(_KEY)
                try:
                    self._looks[one_id] = _Look.model_validate_json(text)
                except ValidationError:
                    self._changed.add(one_id)


def _look(finding: Finding, stage: Literal["early", "open"], facts: Facts | None = None) -> _Look:
    return _Look(
        facts=facts,
        stage=stage,
        team=finding.series.team,
        use_case=finding.series.use_case,
        start_us=finding.start_us,
        end_us=finding.end_us,
        expected=round(finding.before.cost),
    )


def _known(look: _Look | None) -> Known:
    if look is None:
        return Known()
    match look.stage:
        case "early" | "early_done" | "open":
            return Known("asked", look.facts)
        case "away":
            return Known("away", look.facts)
        case "found":
            return Known("found", look.facts)


def _question(one_id: str, look: _Look, partition: int, applied: Before) -> SpikeQuestion:
    now: Span = (look.start_us, look.end_us)
    before = [
        (now[0] - shift - around, now[1] - shift + around)
        for around in (0, _AROUND_US)
        # A span longer than a day has no day before of its own.
        for shift in (7 * _DAY_US, _DAY_US)
        if now[1] - now[0] + around <= shift
    ]
    right_before = (now[0] - _RIGHT_BEFORE_US, now[0])
    return SpikeQuestion(
        partition,
        one_id,
        look.team,
        look.use_case,
        now,
        (*before, right_before),
        look.expected,
        applied,
        so_far=look.stage == "early",
    )
