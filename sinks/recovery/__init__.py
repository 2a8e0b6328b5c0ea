"""After a loss: ClickHouse filled again from Kafka, and the history that rebuilt agents ask for."""
