"""The runner: from a plan to frames on their way from source to outputs."""
