"""Five-minute buckets per team and use case in; explained alerts on sudden rises out. Pure: no clock, no Kafka.

`policy` the constants · `pairs` and `buckets` keys and sums · `roster` which series have a row · `baseline` what is
usual at this hour of the week · `ring` the last half hour beside it, and what it teaches · `evidence` how far from
usual a bucket is · `watch` bucket by bucket, open ones too · `scene` what one series did in a bucket · `episode` from
first bucket to the end · `book` those that run, what people say and what is planned (`planned`) · `finding` all that is
told of one state · `decomposition` why, exactly · `texts` and `explain` in words.
"""
