"""The rate card."""
