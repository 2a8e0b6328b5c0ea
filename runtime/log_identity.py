"""In: a topic. Out: the identity of the log that its offsets count in.

Offsets mean something only within one life of a topic. ClickHouse outlives an in-memory broker and a topic that was
deleted and made again, so whatever is remembered there by offset is remembered under this identity.
"""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.connection import KafkaConnection


def log_identity(connection: KafkaConnection, topic: str, timeout_s: float = 10.0) -> str:
    """`CLUSTER_ID/TOPIC_ID`, or the cluster's id alone where the broker does not tell topic ids.

    Raises KafkaException when the broker cannot be reached or the topic does not exist.
    """
    admin = AdminClient(connection.librdkafka())
    cluster = admin.list_topics(topic, timeout=timeout_s).cluster_id
    try:
        description = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)[topic].result()
    except KafkaException:
        # Brokers older than 2.8 and the embedded one do not answer DescribeTopicPartitions with ids.
        return cluster
    return f"{cluster}/{description.topic_id}"
