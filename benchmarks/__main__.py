"""In: nothing. Out: every benchmark, one after the other, each as a process of its own."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("benchmarks.bench_prices",),
    ("benchmarks.bench_enrich",),
    ("benchmarks.bench_dedupe", "--ids", "1000000"),
    ("benchmarks.bench_poison",),
    ("benchmarks.bench_check", "--teams", "200", "--events", "500000", "--seconds", "8"),
    ("benchmarks.bench_roles", "--events", "200000"),
)


def main() -> int:
    for module, *arguments in COMMANDS:
        print(f"\n== {module} {' '.join(arguments)}", flush=True)
        code = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
