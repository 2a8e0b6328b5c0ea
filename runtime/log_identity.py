"""In: a topic. Out: the identity of the log that its offsets count in.

Offsets mean something only within one life of a topic. ClickHouse outlives an in-memory broker and a topic that was
deleted and made again, so whatever is remembered there by offset is remembered under this identity.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.connection import KafkaConnection

#: What brokers older than 2.8 say, which know no topic ids.
_UNTOLD = (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE)


def log_identity(connection: KafkaConnection, topic: str, timeout_s: float = 10.0) -> str:
    """`CLUSTER_ID/TOPIC_ID`, or the cluster's id alone where the broker does not tell topic ids.

    Raises KafkaException when the broker cannot be reached or does not answer in time: an identity that depended on the
    weather would make a reader take an old log for a new one. LookupError when the topic does not exist.
    """
    admin = AdminClient(connection.librdkafka())
    # All topics are listed: asking the embedded broker for one by name would make it.
    metadata = admin.list_topics(timeout=timeout_s)
    if topic not in metadata.topics:
        raise LookupError(
            f"topic {topic} does not exist on {connection.bootstrap}: create it with `streamgauge topics`"
        )
    cluster = str(metadata.cluster_id)
    try:
        description = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)[topic].result()
    except KafkaException as error:
        if error.args[0].code() in _UNTOLD:
            return cluster
        raise
    return f"{cluster}/{description.topic_id}"
