"""Five-minute buckets per team in; explained alerts on sudden rises out. Pure: no clock, no Kafka.

`policy` the constants · `buckets` keys and closed sums · `baseline` what is usual at this hour · `evidence` how far
from usual a bucket is · `detector` which teams rise · `decomposition` why, exactly · `episode` from first bucket to
the end · `texts` in words.
"""
