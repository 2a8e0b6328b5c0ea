"""In: raw message values in any of the three framings. Out: one Arrow table in source order, and the values that would
not decode.

`decoder` tells the framings apart and joins the parts · `avro_columns` decodes many datums at once, and isolates bad
ones, which `walk` finds · `not_utf8` finds bad text · `json_rows` reads plain JSON · `align` brings other schema
versions to the current columns · `as_json` writes a refused event so that it can be sent again.
"""

from __future__ import annotations

from schemas.decoding.as_json import as_json
from schemas.decoding.decoder import Decoded, Decoder, SchemaSource, SchemaSourceAway, UnknownSchema
from schemas.decoding.failure import Failure

__all__ = ("Decoded", "Decoder", "Failure", "SchemaSource", "SchemaSourceAway", "UnknownSchema", "as_json")
