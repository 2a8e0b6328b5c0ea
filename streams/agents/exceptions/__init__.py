"""In: exceptions as documents, and event time. Out: the limits that hold now, and one event for each step of each.

`grants` says what exceptions add to a budget when; `steps` in which order an exception lives; `watch` tells each step
once; `texts` says it to people.
"""
