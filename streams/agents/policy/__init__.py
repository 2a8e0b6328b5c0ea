"""In: policy rows of the tallies. Out: alerts on calls that break a policy, questions on what nobody has registered,
and what share of all calls is governed.

`rows` what a message tells · `limits` when something is told · `episode` one rule broken by one team in one use case ·
`watch` all of a shard's, judged in log order · `texts` the alerts · `months` governance by month.
"""
