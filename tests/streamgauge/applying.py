"""In: texts of control documents. Out: what `apply` makes of them, without a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from schemas.control.records import ControlRecord
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply import ApplyError, Loaded, Plan, load_files, make_plan

KEY: Final = b"a-key-of-16-bytes-or-more"
#: 20 November 2026, noon.
NOW_US: Final = 1_795_176_000_000_000


class Files:
    """Writes files into one folder and reads them as `apply` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, key: bytes | None = KEY) -> Loaded:
        return load_files([self.folder], key)

    def plan(self, current: ControlSnapshot | None = None, *names: str, prune: bool = False) -> Plan:
        """Of the named files, or of all."""
        loaded = load_files([self.folder / name for name in names] or [self.folder], KEY)
        return make_plan(loaded, current or ControlSnapshot(), prune=prune, now_us=NOW_US)

    def snapshot(self, current: ControlSnapshot | None = None, *names: str) -> ControlSnapshot:
        """What would be in force."""
        current = current or ControlSnapshot()
        return self.plan(current, *names).applied_to(current)

    def problems(
        self, key: bytes | None = KEY, current: ControlSnapshot | None = None, *names: str, prune: bool = False
    ) -> list[str]:
        """`NAME:LINE: FIELD: message` of everything wrong."""
        with pytest.raises(ApplyError) as wrong:
            make_plan(
                load_files([self.folder / name for name in names] or [self.folder], key),
                current or ControlSnapshot(),
                prune=prune,
                now_us=NOW_US,
            )
        assert "nothing was applied" in str(wrong.value)
        return [str(problem).replace(f"{self.folder}/", "") for problem in wrong.value.problems]


def in_force(*records: ControlRecord) -> ControlSnapshot:
    from schemas.control.records import record_key

    return ControlSnapshot(1, {record_key(record): record for record in records})
