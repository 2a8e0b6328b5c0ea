"""In: `governance.control` and `governance.status`. Out: for a gateway that asks before a call: allow, warn, needs
acknowledgement or stop, why, and how fresh that is.

`follower` follows the topics · `rulebook` what the documents fix, compiled · `statuses` what each budget stands at ·
`question` → `resolve` → `budgets`, `policies` → `judge` → `answer` is the way of one question · `http` and `server`
speak HTTP.

It keeps nothing and locks nothing: calls that are under way while it answers are counted afterwards.
"""
