"""The local runtime: everything a cluster would provide, started inside one machine without Docker or a JVM."""
