"""Model classes: an exact id beats any family, the longest family beats the shorter."""

from __future__ import annotations

import pyarrow as pa

from schemas.control.models import CatalogueModel
from streams.enrich.model_classes import ModelClasses


def test_longest_match() -> None:
    classes = ModelClasses(
        [
            CatalogueModel(id="gpt-5*", model_class="frontier"),
            CatalogueModel(id="gpt-5-mini*", model_class="small"),
            CatalogueModel(id="gpt-5-mini-x", model_class="special"),
            CatalogueModel(id="gpt*", model_class="other"),
        ]
    )
    models = ["gpt-5", "gpt-5-mini-2", "gpt-5-mini-x", "gpt-4", "claude", "gpt-5"]
    assert classes.of(pa.array(models)).to_pylist() == ["frontier", "small", "special", "other", None, "frontier"]
    assert classes.of(pa.array([], pa.utf8())).to_pylist() == []


def test_an_empty_catalogue_knows_nothing() -> None:
    assert ModelClasses([]).of(pa.array(["gpt-5"])).to_pylist() == [None]
