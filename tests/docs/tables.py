"""In: topics and metrics as the code has them. Out: the tables about them in the documents.

python -m tests.docs.tables    # writes them anew between their markers
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from runtime import metrics
from schemas.topics import DAY_MS, SPECS
from tests.docs.pages import Page, page


def topics_table() -> str:
    rows = [
        (
            f"`{spec.name}`",
            {"events": "events", "tallies": "tallies", "one": "1"}[spec.count],
            "compacted" if spec.retention_ms is None else f"{spec.retention_ms // DAY_MS} days",
            ", ".join(spec.writers),
            ", ".join(spec.readers),
            spec.purpose,
        )
        for spec in SPECS
    ]
    return _table(("topic", "partitions", "kept", "written by", "read by", "what for"), rows)


def metrics_table() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{label}`" for label in labels), kind, meaning)
        for name, labels, kind, meaning in exported()
    ]
    return _table(("metric", "labels", "type", "meaning"), rows)


def exported() -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """(name as in /metrics, labels, type, meaning) of every metric of every role."""
    groups = [value for name, value in vars(metrics).items() if isinstance(value, type) and name.endswith("Metrics")]
    for group in sorted(groups, key=lambda one: one.__name__):
        for metric in vars(group(CollectorRegistry())).values():
            [family] = metric.describe()
            suffix = "_total" if family.type == "counter" else ""
            yield family.name + suffix, tuple(metric._labelnames), family.type, family.documentation


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


#: Page, marker and what stands between `<!-- marker: … -->` and `<!-- /marker -->`.
BLOCKS: Final[tuple[tuple[str, str, Callable[[], str]], ...]] = (
    ("docs/contracts.md", "topics", topics_table),
    ("docs/operations.md", "metrics", metrics_table),
)


def block(where: Page, marker: str) -> re.Match[str]:
    """(opening comment, content) of a marked block."""
    found = re.search(rf"(<!-- {marker}:[^\n]*-->\n)(.*?)<!-- /{marker} -->", where.text, re.DOTALL)
    assert found is not None, f"{where} has no block {marker}"
    return found


def main() -> None:
    for name, marker, make in BLOCKS:
        where = page(name)
        found = block(where, marker)
        text = where.text[: found.start(2)] + make() + "\n" + where.text[found.end(2) :]
        where.path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
