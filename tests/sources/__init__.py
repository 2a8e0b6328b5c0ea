"""Tests of `sources/`: what leaves a producer, read back as the pipeline reads it."""
