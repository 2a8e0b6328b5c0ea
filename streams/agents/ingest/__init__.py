"""In: source rows of the tallies. Out: alerts on sources whose events are refused, or that stopped to send.

`clock` what time it is in the log · `source` what is known of one source · `watch` all of a shard's, judged in log
order · `texts` the alerts · `advice` what each rejection code means to whoever sends.
"""
