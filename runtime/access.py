"""In: topics with their readers and writers. Out: the Kafka access rights that each role needs, as `kafka-acls`
commands.

Rights are least privilege: a role reads and writes what `schemas.topics` names for it, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from schemas.topics import SPECS, Role, Topics

ROLES: Final[tuple[Role, ...]] = get_args(Role)
#: Consumer groups by role; the prefix of the topics stands before them.
GROUPS: Final[dict[Role, str]] = {
    "enrich": "streamgauge.enrich",
    "agents": "streamgauge.agents",
    "sink": "streamgauge.sink",
    "forward": "streamgauge.forward",
}


@dataclass(frozen=True, slots=True)
class Right:
    """One role may do `operations` on one resource, named exactly or by its beginning (`prefixed`)."""

    role: Role
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    def command(self, bootstrap: str, principal: str) -> str:
        """The `kafka-acls.sh` call that grants it to `principal`."""
        operations = " ".join(f"--operation {operation}" for operation in self.operations)
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"kafka-acls.sh --bootstrap-server {bootstrap} --add --allow-principal {principal} "
            f"{operations} --{self.resource} {self.name}{pattern}"
        )


def rights(topics: Topics, client_id: str = "streamgauge") -> list[Right]:
    """Every right that every role needs, role by role."""
    wanted: list[Right] = []
    for role in ROLES:
        for spec in SPECS:
            name = topics.name(spec.name)
            operations: tuple[str, ...] = ()
            if role == "admin":
                operations = ("Create", "Describe", "DescribeConfigs", "Alter")
            if role in spec.readers:
                operations += ("Read",)
            if role in spec.writers:
                operations += ("Write",)
            if role == "admin" and spec.name in ("governance.control", "usage.adjustments"):
                operations += ("Read",)
            if role in ("agents", "sink") and spec.name == "usage.events":
                # `streamgauge rebuild` is run as agents. What is remembered by offset is remembered under this
                # topic's identity.
                operations = ("Describe",)
            if operations:
                if "Describe" not in operations:
                    operations += ("Describe",)
                wanted.append(Right(role, "topic", name, operations))
        if role in GROUPS:
            wanted.append(Right(role, "group", f"{topics.prefix}{GROUPS[role]}", ("Read", "Describe"), prefixed=True))
        # Whoever follows the control log names a group that it never joins; librdkafka still looks for its coordinator.
        wanted.append(Right(role, "group", f"{client_id}.", ("Describe",), prefixed=True))
    wanted.append(
        Right("agents", "transactional-id", f"{topics.prefix}streamgauge.agents.", ("Write", "Describe"), prefixed=True)
    )
    for command in ("apply", "adjustments"):
        name = f"{topics.prefix}streamgauge.{command}"
        wanted.append(Right("admin", "transactional-id", name, ("Write", "Describe")))
    return wanted
