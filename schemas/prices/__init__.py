"""The rate card: integer prices per model, moment and context, and the columns of a batch priced by them.

In reading order: `units` dollars to integers · `decompose` inclusive counts to disjoint ones · `notes` what a row can
say · `providers` names to ids · `rates` one resolved price · `matching`, `catalogue` what genai-prices says ·
`overrides` what people say, with dates · `card` both as one card, with a version and a hash · `columns` what goes in
and out · `grouping` which rows share a price · `table` the prices of a batch as arrays · `pricing` the arithmetic.
"""
