"""What `bench_check` asks with, and what it holds the answers against."""
