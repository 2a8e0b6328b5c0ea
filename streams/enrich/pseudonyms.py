"""In: user ids. Out: their keyed hashes. The id itself goes no further than this."""

from __future__ import annotations

import pyarrow as pa

from schemas.pseudonym import hash_user

#: Hashes remembered; an id costs about 200 bytes, so at most 40 MB.
_CACHE = 200_000


class Pseudonyms:
    """Hashes each distinct id once, and remembers recent ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._hashes: dict[str, str] = {}

    def of(self, user_id: pa.Array) -> pa.Array:
        """The hash of each row's user id, by codes; null stays null."""
        if user_id.null_count == len(user_id):
            return pa.nulls(len(user_id), pa.utf8())
        encoded = user_id.dictionary_encode()
        if len(self._hashes) > _CACHE:
            self._hashes.clear()
        hashes = pa.array([self._hash(one) for one in encoded.dictionary.to_pylist()], pa.utf8())
        return pa.DictionaryArray.from_arrays(encoded.indices, hashes)

    def _hash(self, user_id: str) -> str:
        known = self._hashes.get(user_id)
        if known is None:
            known = self._hashes[user_id] = hash_user(self._key, user_id)
        return known
