"""What happens to events on the way: `enrich` touches every event once, in columns; `agents` hold what teams have
used.
"""
