#!/bin/sh
# One usage event with nothing but kcat: plain JSON, keyed by its event id (everything before the first tab).
# Usage: sh examples/kcat.sh [HOST:PORT]
set -eu
id="shell-$(date +%s)-$$"
printf '%s\t{"event_id": "%s", "source": "shell", "occurred_at": "%s", "model": "gpt-4o", "input_tokens": 1200, "output_tokens": 80, "team_id": "support"}\n' \
    "$id" "$id" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" |
    kcat -P -b "${1:-127.0.0.1:9092}" -t usage.events -K "$(printf '\t')"
