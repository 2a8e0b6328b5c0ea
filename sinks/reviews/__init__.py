"""What slow reviews ask of ClickHouse: hours of workflows that may have shifted, weeks of use cases."""

from __future__ import annotations
