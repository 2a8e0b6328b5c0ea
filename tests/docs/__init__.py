"""What the documents say is so: links resolve, names exist, examples run."""
