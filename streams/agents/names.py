"""In: texts such as team ids. Out: small dense numbers for them, stable for the life of a shard's state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.agents.arrow_columns import integers


class Names:
    """Numbers 0, 1, 2, … in the order of first sight. Never forgets: an id is small beside the state it names."""

    def __init__(self, limit: int) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self.texts)

    def number(self, text: str) -> int:
        """OverflowError when the key's bits for this kind of name are used up."""
        found = self._numbers.get(text)
        if found is None:
            found = len(self.texts)
            if found >= self._limit:
                raise OverflowError(
                    f"more than {self._limit} distinct names in one tally partition: raise the partition count"
                )
            self._numbers[text] = found
            self.texts.append(text)
        return found

    def find(self, text: str) -> int | None:
        return self._numbers.get(text)

    def numbers(self, column: pa.Array, null: str) -> np.ndarray:
        """int64[n], one number per row of a utf8 column; `null` is the name of a missing value."""
        encoded = pc.fill_null(column, null).dictionary_encode()
        distinct = np.array([self.number(text) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
        if not len(distinct):
            return np.zeros(0, dtype=np.int64)
        numbers: np.ndarray = distinct[integers(encoded.indices)]
        return numbers

    def extend(self, texts: Sequence[str]) -> None:
        """Restore names in their old order."""
        for text in texts:
            self.number(text)
