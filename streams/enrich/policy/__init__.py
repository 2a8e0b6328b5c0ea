"""In: enriched rows and the policies in force. Out: what each call's verdict is, by which rule, and how long it may be
kept.

`selecting` which calls a rule is about · `exceptions` approvals and permissions in force · `judge` one call in plain
Python · `columns` whole batches: each distinct combination of what rules look at is judged once · `rows` the policy
rows of a tally.
"""
