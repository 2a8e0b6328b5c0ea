"""In: what a person types about who decides. Out: control records, a signer, and the doors to Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runtime.connection import KafkaConnection
    from schemas.control.records import ControlRecord
    from schemas.control.snapshot import ControlSnapshot
    from schemas.topics import Topics
    from streamgauge.exceptions.signing import Signer
    from streamgauge.settings import Settings

As = Annotated[
    str | None,
    typer.Option("--as", metavar="PRINCIPAL", help="Who you are; otherwise whoever has the key.", show_default=False),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Your OpenSSH Ed25519 private key; otherwise STREAMGAUGE_SIGNING__KEY_FILE.",
        show_default=False,
    ),
]
Note = Annotated[str | None, typer.Option("--note", help="A word on why.", show_default=False)]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where decisions are made: the records in force, and where to publish."""

    settings: Settings
    connection: KafkaConnection
    topics: Topics
    snapshot: ControlSnapshot

    def signer(self, key: Path | None, claimed: str | None) -> Signer:
        """Whoever holds the key. The passphrase comes from the environment, or is asked for and not shown."""
        from streamgauge.exceptions.signing import authenticate
        from streamgauge.settings.convert import reveal

        path = key or self.settings.signing.key_file
        given = reveal(self.settings.signing.key_password)

        def ask() -> str:
            return given or str(typer.prompt(f"Passphrase of {path}", hide_input=True, err=True))

        return authenticate(self.snapshot, path, ask, claimed)

    def publish(self, record: ControlRecord) -> None:
        from streamgauge.exceptions.publishing import publish_record

        publish_record(record, self.snapshot, self.connection, self.topics)


def open_desk(settings: Settings, *, to_look: bool = False) -> Desk:
    """Reads the control log to its end. `to_look`: a login that may not read it goes without its records."""
    from confluent_kafka.admin import AdminClient

    from runtime.admin import list_partitions
    from schemas.control.snapshot import ControlSnapshot
    from streamgauge.exceptions.publishing import read_control
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    connection, topics = kafka_connection(settings), topic_names(settings)
    reach_kafka(connection)
    # A topic that we may not see looks like one that is not there, and would be waited for.
    if to_look and topics.control not in list_partitions(AdminClient(connection.librdkafka())):
        return Desk(settings, connection, topics, ControlSnapshot())
    return Desk(settings, connection, topics, read_control(connection, topics))
