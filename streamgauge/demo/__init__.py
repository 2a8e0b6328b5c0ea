"""`streamgauge demo`: a house of its own, a month of a company that does not exist, and what was found of what was
planted.

`story` from start to report · `watcher` what comes out of the pipeline, counted · `lookout` when time stands still ·
`matching` incidents beside alerts · `questions/*.sql` what an analyst asks · `report` the figures and whether they hold
· `telling` the report for people · `view` how a person sees it.
"""
