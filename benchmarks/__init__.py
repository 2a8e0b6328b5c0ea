"""How fast it is and how that was measured. `python -m benchmarks` runs all of it; nothing here is a test."""
