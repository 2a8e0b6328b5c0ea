"""In: settings. Out: everything that the sink can be told, as two values: where ClickHouse is, and how to fill it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


class SinkConfigError(ValueError):
    """A setting of the sink is out of range; the message has the value and what is accepted."""


@dataclass(frozen=True, slots=True)
class ClickHouseTls:
    """Files of the trust root and, for mutual TLS, of our own certificate. Paths; None: the system's roots."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class ClickHouseTarget:
    """One database of one ClickHouse. `chdb_path` set: chdb in this very process, and the rest but `database` is
    unused.

    `port` None: ClickHouse's own HTTP ports, 8443 with TLS and 8123 without. The embedded runtime's server is an
    ordinary target: host 127.0.0.1, its port, user `writer`.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    username: str = "default"
    password: str = field(default="", repr=False)
    database: str = "streamgauge"
    tls: ClickHouseTls | None = None
    chdb_path: Path | None = None
    connect_timeout_s: int = 10
    #: Longer than any insert should take. A request that hangs so long is given up and repeated; the sink stays a
    #: member of its group meanwhile.
    timeout_s: int = 240


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that rows are kept, counted from the day they were received (replayed history must not vanish on arrival).

    0 keeps rows for ever. At most 20,000 (55 years), because ClickHouse's clock for TTLs ends in 2106.
    """

    events_days: int = 730
    ledger_days: int = 730
    rejected_days: int = 30
    outcomes_days: int = 1_825
    alerts_days: int = 1_825
    status_days: int = 1_825

    def __post_init__(self) -> None:
        for name in self.__slots__:
            days = getattr(self, name)
            if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 20_000:
                raise SinkConfigError(f"retention {name} is {days!r}: give whole days between 0 (for ever) and 20000")


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Settings of `streamgauge sink`; the connection, the topics, the target and the clock are handed in beside it.

    An insert is made when the blocks of a partition are `flush_rows` together or the oldest has waited `flush_s`.
    """

    group: str = "streamgauge.sink"
    flush_s: float = 1.0
    flush_rows: int = 200_000
    #: Messages asked of Kafka at once, and how long one such call may wait.
    batch_messages: int = 500
    poll_ms: int = 200
    #: While ClickHouse is away: the first wait and the longest one between two tries.
    retry_first_s: float = 0.5
    retry_cap_s: float = 30.0
    #: A member that has not polled for this long loses its partitions; polling goes on while ClickHouse is away.
    max_poll_interval_s: int = 600
    #: Go on behind source ranges that usage.enriched no longer holds. What is lost stays a hole in the ledger.
    accept_gaps: bool = False
    #: Read usage.enriched from its beginning where the ledger's place lies behind its end: it was made anew or cut.
    reread: bool = False
    #: Rows that ClickHouse refuses for their content and that are set aside before the sink stops: in one insert, in a
    #: row, or, above that number, as a share of the newest 10,000.
    refuse_limit_rows: int = 100
    refuse_limit_share: float = 0.05
    #: Stop when this share of at least so many outcomes fails for its schema; a share of 0 switches it off.
    reject_limit_share: float = 0.5
    reject_limit_outcomes: int = 10_000
    retention: Retention = Retention()
    #: `migrate` at start; switch off where the schema is applied by somebody with more rights.
    migrate: bool = True
    #: Compression of what is sent to ClickHouse over HTTP. `none` is fastest on loopback.
    compression: Literal["lz4", "zstd", "none"] = "lz4"
