"""The cluster's files, read and held against the code: compose, image, ClickHouse users, Grafana's dashboard."""
