"""In: the topic `governance.alerts`, and what people say. Out: alerts as people read them, their word on
`governance.control`, and how precise the alerts were.

`reading` the stories of all alerts · `figures` amounts in words · `lines` a list and its follow · `story_text` one
story on a terminal · `postmortem` the same as Markdown · `feedback` what people say · `answer` what agents make of it ·
`precision` how many were worth it.
"""
