"""In: the topic `governance.alerts`. Out: the same alerts in Alertmanager, which tells mail, chat and pagers.

`config` where Alertmanager is · `labels` what an alert is there · `board` which alerts are open, and what each new
state means · `alertmanager` its API · `member` the consumer group · `forwarder` the loop, with its steps.
"""
