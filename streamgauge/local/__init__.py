"""`streamgauge up`: everything on this machine, started and stopped together.

`state` what a running one leaves to be found · `process` one role as a child process · `house` all of them in order.
"""
