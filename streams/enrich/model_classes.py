"""In: model names and the model catalogue. Out: each row's model class; null for a model that the catalogue does not
know.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from schemas.control.models import CatalogueModel
from streams.enrich.coded import NOBODY, coded, codes_of, encode


class ModelClasses:
    """Exact ids first, then the longest family (`name*`) that begins the model's name."""

    def __init__(self, models: Iterable[CatalogueModel]) -> None:
        self._exact: dict[str, str] = {}
        self._families: list[tuple[str, str]] = []
        for model in models:
            if model.id.endswith("*"):
                self._families.append((model.id[:-1], model.model_class))
            else:
                self._exact[model.id] = model.model_class
        self._families.sort(key=lambda family: len(family[0]), reverse=True)

    def of(self, model: pa.Array) -> pa.Array:
        """The class, by codes, of each row's model. Python sees each distinct model once."""
        encoded = encode(model)
        classes = [self._class(name) for name in encoded.dictionary.to_pylist()]
        names = list(dict.fromkeys(name for name in classes if name is not None))
        return coded(codes_of(encoded, [NOBODY if name is None else names.index(name) for name in classes]), names)

    def _class(self, name: str) -> str | None:
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        return next((model_class for prefix, model_class in self._families if name.startswith(prefix)), None)
