"""A member of a consumer group that stays one while ClickHouse is away: polling, waiting, committing, its lag."""
