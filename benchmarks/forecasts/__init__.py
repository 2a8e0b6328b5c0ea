"""In: a seed, or a recorded trace. Out: use by hour of fleets of budgets, made without any code of the model's."""
