"""In: closed hours of every budget's use, and the periods that run. Out: what each period will have used at its end.

Read in this order: `memory` (what is kept of a budget), `local_time` (its hours and weekdays), `learning` (how closed
hours teach it), `model` (the forecast), `straight` (the fallback), `gamma` (quantiles and chances), `book` (all budgets
of a shard), `judging` and `texts` (alerts).
"""
