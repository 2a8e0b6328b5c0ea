"""In: a seed and a number of inputs. Out: what every decoder made of that many spoiled messages:
`python -m tests.fuzz --inputs 1000000 --seed 1 [--json]`.

`mutations` spoils bytes · `corpus` holds good ones · `events` and `internal` are the decoders under test, each with
what it may answer · `worker` is the child process that calls them · `__main__` starts workers, watches their time and
catches their deaths. Call number n of seed s is the same bytes on every machine: a finding is replayed by
`--seed S --call N`.
"""
