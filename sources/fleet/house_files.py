"""In: nothing. Out: where the fleet's control documents stand: YAML files to apply before its first event, and to
learn from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOUSE: Final = Path(__file__).parent / "house"


def house_files() -> tuple[Path, ...]:
    """All of them, by name. Each holds documents separated by `---`, each a mapping with `kind`."""
    return tuple(sorted(HOUSE.glob("*.yaml")))
