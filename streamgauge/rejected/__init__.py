"""Refused events: what to do about each code (`advice`), what their bytes say (`reading`), and sending them again after
a fix (`replay`). `sinks.corrections.rejected` reads them from ClickHouse.
"""
