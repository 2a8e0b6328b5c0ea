"""The topics of records into their tables, at least once and idempotent: outcomes, refusals, alerts, statuses,
adjustments.
"""
