"""What every role stands on: Kafka connections, the control log, clocks, logs, metrics, health. Imports schemas only.

- `connection` one Kafka address with TLS and SASL, rendered for librdkafka and for aiokafka
- `log_identity` which log the offsets count in
- `control_log` reads `governance.control` to its end and follows it
- `watermarks` where a partition's log begins and ends, waited for
- `clock`      time as an argument
- `logs`       structured logs without secrets
- `metrics`    every metric with unit and meaning
- `admin`      topics and access rights, created and compared idempotently
- `endpoint`   the role's own HTTP: /live, /ready, /metrics
"""
