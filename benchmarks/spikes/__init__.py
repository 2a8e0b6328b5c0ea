"""In: a seed. Out: fleets of teams with labelled incidents, and what detectors make of them."""
