"""Tests, one folder per room; `pipeline` runs the whole house, `support` holds what the tests stand on."""
