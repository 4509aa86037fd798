"""What is done with an export: compare it with its origin, shrink it, time it, look into it."""
