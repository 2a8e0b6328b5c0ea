"""What single calls tell of a scope: questions behind alerts on budgets."""
